package flags_test

import (
	"os"
	"strings"
	"testing"
)

// TestThePageShowsThisPackage keeps the example of the documentation one that
// compiles and conforms.
func TestThePageShowsThisPackage(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/adding-an-action.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"flags.go", "disable.go", "disable_test.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "`"+file+"`:\n\n```go\n"+string(source)+"```\n") {
			t.Errorf("docs/adding-an-action.md does not show %s as it is", file)
		}
	}
}

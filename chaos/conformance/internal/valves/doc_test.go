package valves_test

import (
	"os"
	"strings"
	"testing"
)

// TestThePageShowsThisPackage keeps the example of the documentation one that
// compiles and conforms.
func TestThePageShowsThisPackage(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/adding-a-fault.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"valves.go", "close.go", "close_test.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "`"+file+"`:\n\n```go\n"+string(source)+"```\n") {
			t.Errorf("docs/adding-a-fault.md does not show %s as it is", file)
		}
	}
}

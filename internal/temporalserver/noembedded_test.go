package temporalserver

import (
	"os/exec"
	"strings"
	"testing"
)

// A worker-only program stays small because this package is the only way to the server.
func TestTheTagLeavesTheServerOut(t *testing.T) {
	list := func(args ...string) string {
		out, err := exec.Command("go", append(append([]string{"list", "-deps"}, args...), ".")...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if !strings.Contains(list(), "go.temporal.io/server/") {
		t.Error("without the tag there is no server either")
	}
	if strings.Contains(list("-tags", "noembedded"), "go.temporal.io/server/") {
		t.Error("with the tag noembedded the server is still linked")
	}
	if out, err := exec.Command("go", "vet", "-tags", "noembedded", ".").CombinedOutput(); err != nil {
		t.Errorf("with the tag noembedded: %v\n%s", err, out)
	}
}

//go:build noembedded

package temporalserver

import (
	"strings"
	"testing"
)

func TestStartSaysHowToDoWithout(t *testing.T) {
	_, err := Start(t.Context(), Options{Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "temporal.address") {
		t.Errorf("got %v", err)
	}
}

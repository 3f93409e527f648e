package flags_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/conformance/internal/flags"
)

func TestDisableConforms(t *testing.T) {
	dir := t.TempDir()
	conformance.Run(t, conformance.Case{
		System:      flags.System,
		Action:      "flags.disable",
		Connections: func(string) string { return "shop: {flags: {dir: " + dir + "}}" },
		Params:      `{store: shop, match: "checkout-*", limit: 2}`,
		Nothing:     `{store: shop, match: "nothing-*"}`,
		Arrange: func(t *testing.T) {
			for _, name := range []string{"checkout-coupons", "checkout-wallet", "search"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("on"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		},
		State: func(t *testing.T) string {
			var all string
			for _, name := range []string{"checkout-coupons", "checkout-wallet", "search"} {
				state, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				all += name + " " + string(state) + "\n"
			}
			return all
		},
	})
}

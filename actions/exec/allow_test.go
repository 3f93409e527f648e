//go:build unix

package exec_test

import (
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
)

func TestOnlyWhatIsAllowedRuns(t *testing.T) {
	const config = `{allow: [
		{argv: [/bin/echo, restart, "*"]},
		{argv: [/bin/echo, "--unit=*"]},
		{argv: [/bin/echo, "/var/log/*.log", "[a-c]?"]},
		{argv: [/bin/true]},
	]}`
	for argv, allowed := range map[string]bool{
		`[/bin/echo, restart, orders-api]`:          true,
		`[/bin/echo, restart, "a b; $(c)"]`:         true,
		`[/bin/echo, --unit=orders]`:                true,
		`[/bin/echo, --unit=]`:                      true,
		`[/bin/echo, /var/log/a.log, b7]`:           true,
		`[/bin/true]`:                               true,
		`[/bin/echo, restart]`:                      false,
		`[/bin/echo, restart, a, b]`:                false,
		`[/bin/echo, stop, orders-api]`:             false,
		`[/bin/echo, restart, --force]`:             false,
		`[/bin/echo, restart, ""]`:                  false,
		`[/bin/echo, restart, ../x]`:                false,
		`[/bin/echo, restart, /etc/passwd]`:         false,
		`[/bin/echo, /var/log/../../etc/x.log, b7]`: false,
		`[/bin/echo, /var/log/a.log, d7]`:           false,
		`[/bin/../bin/true]`:                        false,
		`["true"]`:                                  false,
		`[/bin/sh, -c, "echo restart"]`:             false,
		`[/bin/true, x]`:                            false,
	} {
		_, err := bind(t, config, "{argv: "+argv+", connection: ops}").Run(t.Context(), "key", actions.Target{})
		switch {
		case allowed && err != nil:
			t.Errorf("%s is refused: %v", argv, err)
		case !allowed:
			fails(t, err, actions.ClassPermanent, `connection "ops" does not allow it`)
		}
	}
}

func TestAConfigThatAllowsTooMuchOrNothingIsRefused(t *testing.T) {
	for config, want := range map[string]string{
		"{allow: [{argv: [systemctl, restart]}]}":     "runbook.yaml:1:30: the program must be an absolute path",
		"{allow: [{argv: ['/usr/bin/*']}]}":           "the program must be an absolute path without a pattern",
		"{allow: [{argv: [/usr/../bin/sh]}]}":         "the program must be an absolute path",
		"{allow: [{argv: [/bin/true, '[a']}]}":        "the pattern [a is not valid (no-pattern)",
		"{allow: [{argv: []}]}":                       "argv must be at least 1",
		"{allow: []}":                                 "allow must be at least 1",
		"{allow: [{}]}":                               `needs the key "argv"`,
		"{allow: [{argv: [/bin/true], shell: true}]}": `unknown key "shell"`,
		"{}": `needs the key "allow"`,
		"{allow: [{argv: [/bin/true]}], dir: relative}": "does not match",
	} {
		_, problems := connections(t, config)
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want …%s…", config, err, want)
		}
	}
}

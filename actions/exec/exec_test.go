//go:build unix

package exec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/exec"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

func TestCommandConforms(t *testing.T) {
	t.Setenv("ENGINE_TOKEN", "canary-90aa17")
	dir := t.TempDir()
	add := script(t, dir, "add", `pwd; env; echo "$1" >> `+dir+`/log`)
	conformance.Run(t, conformance.Case{
		System: exec.System,
		Action: "exec.command",
		Connections: func(string) string {
			return "ops: {exec: {allow: [{argv: [" + add + ", '*']}, {argv: [/bin/sleep, '600']}]}}"
		},
		Secrets: []string{"canary-90aa17"},
		Params:  "{connection: ops, argv: [" + add + ", one]}",
		Slow:    "{connection: ops, argv: [/bin/sleep, '600'], timeout: 10m}",
		State: func(t *testing.T) string {
			log, err := os.ReadFile(filepath.Join(dir, "log"))
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			return string(log)
		},
		Measured: []string{"duration"},
	})
}

// script is a program that a shell runs.
func script(t *testing.T, dir, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func connections(t *testing.T, config string) (*actions.Connections, diag.List) {
	t.Helper()
	nodes, problems := document.Parse("runbook.yaml", []byte("ops: {exec: "+config+"}"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return actions.NewConnections([]*actions.ConnectionKind{exec.System(nil).Connection}, nodes[0])
}

func bind(t *testing.T, config, params string) actions.Bound {
	t.Helper()
	all, problems := connections(t, config)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	b, problems := exec.System(all).Actions[0].Bind([]byte(params))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}

// run runs one program with arguments, which the config allows.
func run(t *testing.T, program, arguments, config string) (string, error) {
	t.Helper()
	argv := fmt.Sprintf("[%s%s]", program, arguments)
	b := bind(t, "{allow: [{argv: "+argv+"}]"+config+"}", "{argv: "+argv+", timeout: 20s}")
	result, err := b.Run(t.Context(), "key", actions.Target{})
	return string(result), err
}

// fails wants an error of a class that says something.
func fails(t *testing.T, err error, class actions.Class, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) || actions.ClassOf(err) != class {
		t.Errorf("failed as %s with %v, want %s, …%s…", actions.ClassOf(err), err, class, says)
	}
}

func TestCommandGivesItsResult(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HANDED_ON", "yes")
	t.Setenv("KEPT", "secret")
	for text, want := range map[string]string{
		`echo out; echo err >&2`:            `"exit_code":0,"stdout":"out\n","stderr":"err\n","truncated":false`,
		`echo "$0 $# $1"`:                   `prog 1 $(id); ` + "`id`" + ` \"'\n"`,
		`pwd`:                               `"stdout":"` + dir + `\n"`,
		`env | sort`:                        `"stdout":"A=b\nHANDED_ON=yes\nLANG=C.UTF-8\nPATH=/usr/local/sbin:`,
		`env | grep -c -e KEPT -e GO; true`: `"stdout":"0\n"`,
		`wc -c`:                             `"stdout":"0\n"`,
		`printf 'a\377b'`:                   `"stdout":"a` + "\uFFFD" + `b"`,
	} {
		program := script(t, dir, "prog", text)
		got, err := run(t, program, `, '$(id); `+"`id`"+` "'''`, ", dir: "+dir+", env: [A=b, HANDED_ON, NOT_SET]")
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s gives %s, %v, want …%s…", text, got, err, want)
		}
	}
}

func TestOutputIsCapped(t *testing.T) {
	program := script(t, t.TempDir(), "prog", `head -c 70000 /dev/zero | tr '\0' z; head -c 3000000 /dev/zero | tr '\0' y >&2; exit 0`)
	got, err := run(t, program, "", "")
	if err != nil || !strings.Contains(got, `"truncated":true`) || strings.Count(got, "z") != 65536 || strings.Count(got, "y") != 65536 {
		t.Errorf("kept %d and %d bytes, %v", strings.Count(got, "z"), strings.Count(got, "y"), err)
	}
}

func TestExitCodes(t *testing.T) {
	program := script(t, t.TempDir(), "prog", `echo first >&2; printf 'it \033 failed\n' >&2; exit 3`)
	_, err := run(t, program, "", "")
	fails(t, err, actions.ClassPermanent, `exit code 3, not [0]:  failed`)

	argv := "[" + program + "]"
	result, err := bind(t, "{allow: [{argv: "+argv+"}]}", "{argv: "+argv+", expect_exit: [0, 3]}").Run(t.Context(), "key", actions.Target{})
	if err != nil || !strings.Contains(string(result), `"exit_code":3`) {
		t.Errorf("gives %s, %v", result, err)
	}
	_, err = run(t, script(t, t.TempDir(), "prog", `kill -9 $$`), "", "")
	fails(t, err, actions.ClassAmbiguous, "killed")
}

func TestWhatCanNotStart(t *testing.T) {
	_, err := run(t, "/nowhere/program", "", "")
	fails(t, err, actions.ClassPermanent, "no such file")
	_, err = run(t, "/etc/passwd", "", "")
	fails(t, err, actions.ClassPermanent, "permission denied")
}

package ssh_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	cryptossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/ssh"
	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

// machine is a real sshd, which lets our own user in with one key.
type machine struct {
	address, dir, user string
	key, known         string // files
	secret             string // a line of the private key
	host               cryptossh.PublicKey
}

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t testing.TB, path string) cryptossh.PublicKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keep(t, path, private)
}

func keep(t testing.TB, path string, private any) cryptossh.PublicKey {
	t.Helper()
	block, err := cryptossh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(pem.EncodeToMemory(block)))
	signer, err := cryptossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer.PublicKey()
}

func start(t testing.TB) *machine {
	t.Helper()
	program, err := programs.SSHD.Find()
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // sshd that runs as root wants it, and packages make it at boot
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{dir: t.TempDir(), user: me.Username}
	m.key = filepath.Join(m.dir, "key")
	ours := newKey(t, m.key)
	text, _ := os.ReadFile(m.key)
	m.secret = strings.Split(string(text), "\n")[2]
	write(t, filepath.Join(m.dir, "authorized"), string(cryptossh.MarshalAuthorizedKey(ours)))
	m.host = newKey(t, filepath.Join(m.dir, "host_ed25519"))
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, filepath.Join(m.dir, "host_rsa"), other)
	server, err := child.RunOnFreePorts(t.Context(), 1, func(ports []int) child.Program {
		m.address = child.Address(ports[0])
		config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %[2]s/host_rsa\nHostKey %[2]s/host_ed25519\nAuthorizedKeysFile %[2]s/authorized\n"+
			"StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n", ports[0], m.dir)
		return child.Program{
			Name: "sshd", Path: program, Args: []string{"-D", "-e", "-f", write(t, filepath.Join(m.dir, "config"), config)},
			Dir: m.dir, Log: filepath.Join(m.dir, "log"), Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
			Ready: func(ctx context.Context) error {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.address)
				if err == nil {
					conn.Close()
				}
				return err
			},
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
	})
	m.known = m.knows(t, m.address, m.host)
	return m
}

func (m *machine) knows(t testing.TB, address string, key cryptossh.PublicKey) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "known_hosts"), knownhosts.Line([]string{knownhosts.Normalize(address)}, key)+"\n")
}

func (m *machine) config(address, key, known string) string {
	return fmt.Sprintf("orders-1: {ssh: {address: '%s', user: %s, key_file: %s, known_hosts_file: %s, allow: [{argv: [/bin/echo, '*']}, {argv: [/bin/sleep, '*']}, "+
		"{argv: [/bin/sh, '-c', 'exit 3']}, {argv: [/usr/bin/head, '-c', '100000', /dev/zero]}, {argv: [/usr/bin/touch, %s/touched]}]}}", address, m.user, key, known, m.dir)
}

func TestCommandConforms(t *testing.T) {
	m := start(t)
	conformance.Run(t, conformance.Case{
		System: ssh.System, Action: "ssh.command", Secrets: []string{m.secret}, Measured: []string{"duration"},
		Params: "{machine: orders-1, argv: [/usr/bin/touch, " + m.dir + "/touched]}", Slow: "{machine: orders-1, argv: [/bin/sleep, '60']}",
		Connections: func(address string) string { return m.config(address, m.key, m.known) }, Address: m.address,
		Arrange: func(*testing.T) { os.Remove(filepath.Join(m.dir, "touched")) },
		State: func(*testing.T) string {
			_, err := os.Stat(filepath.Join(m.dir, "touched"))
			return fmt.Sprint(err == nil)
		},
	})
}

func run(t testing.TB, config, params string) (map[string]any, error) {
	t.Helper()
	b := conformance.Bind(t, conformance.Open(t, ssh.System, config), "ssh.command", params)
	text, err := b.Run(t.Context(), "key", *b.OnlyTarget())
	if err != nil {
		return nil, err
	}
	result := map[string]any{}
	return result, json.Unmarshal(text, &result)
}

// Arguments come out of alerts: none may mean anything to the shell.
func TestArgumentsAreArguments(t *testing.T) {
	m := start(t)
	for _, argument := range []string{"plain", "two words", "$(id)", "`id`", "a;b", "a'b", `a"b\c`, "a&&b", "$HOME", "*", "a\nb", "ü"} {
		argv, err := json.Marshal([]string{"/bin/echo", argument})
		if err != nil {
			t.Fatal(err)
		}
		got, err := run(t, m.config(m.address, m.key, m.known), `{"machine": "orders-1", "argv": `+string(argv)+`}`)
		if err != nil || got["stdout"] != argument+"\n" || got["exit_code"] != 0.0 {
			t.Errorf("%q gives %v, %v", argument, got, err)
		}
	}
}

func fails(t testing.TB, err error, class actions.Class, says string) {
	t.Helper()
	if err == nil || actions.ClassOf(err) != class || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "orders-1") {
		t.Errorf("the error is %v (%s), want …%s… (%s)", err, actions.ClassOf(err), says, class)
	}
}

func TestOnlyAllowedCommandsRun(t *testing.T) {
	m := start(t)
	for _, argv := range []string{"[/bin/ls]", "[/bin/echo]", "[/bin/echo, -n]", "[/bin/echo, a, b]", "[/bin/sh, '-c', 'exit 4']"} {
		_, err := run(t, m.config(m.address, m.key, m.known), "{machine: orders-1, argv: "+argv+"}")
		fails(t, err, actions.ClassPermanent, "does not allow it")
	}
}

func TestAMachineWithAnotherKeyIsRefused(t *testing.T) {
	m := start(t)
	foreign := newKey(t, filepath.Join(t.TempDir(), "foreign"))
	touch := "{machine: orders-1, argv: [/usr/bin/touch, " + m.dir + "/touched]}"
	_, err := run(t, m.config(m.address, m.key, m.knows(t, m.address, foreign)), touch)
	fails(t, err, actions.ClassPermanent, "another host key")
	_, err = run(t, m.config(m.address, m.key, m.knows(t, "127.0.0.2:1", m.host)), touch)
	fails(t, err, actions.ClassPermanent, "ssh-keyscan")
	stranger := filepath.Join(t.TempDir(), "stranger")
	newKey(t, stranger)
	_, err = run(t, m.config(m.address, stranger, m.known), touch)
	fails(t, err, actions.ClassPermanent, "unable to authenticate")
	_, err = run(t, m.config(m.address, "/nowhere/key", m.known), touch)
	fails(t, err, actions.ClassPermanent, "/nowhere/key")
	_, err = run(t, m.config(m.address, m.known, m.known), touch)
	fails(t, err, actions.ClassPermanent, "no private key")
	if _, err := os.Stat(filepath.Join(m.dir, "touched")); err == nil {
		t.Error("a command ran")
	}
}

func TestHowACommandEnds(t *testing.T) {
	m := start(t)
	config := m.config(m.address, m.key, m.known)
	_, err := run(t, config, "{machine: orders-1, argv: [/bin/sh, '-c', 'exit 3']}")
	fails(t, err, actions.ClassPermanent, "exit code 3")
	if got, err := run(t, config, "{machine: orders-1, argv: [/bin/sh, '-c', 'exit 3'], expect_exit: [0, 3]}"); err != nil || got["exit_code"] != 3.0 {
		t.Errorf("an exit code that is expected gives %v, %v", got, err)
	}
	if got, err := run(t, config, "{machine: orders-1, argv: [/usr/bin/head, '-c', '100000', /dev/zero]}"); err != nil || len(got["stdout"].(string)) != 64<<10 || got["truncated"] != true {
		t.Errorf("much output gives %d bytes, %v", len(fmt.Sprint(got["stdout"])), err)
	}
	_, err = run(t, config, "{machine: orders-1, argv: [/bin/sleep, '60'], timeout: 300ms}")
	fails(t, err, actions.ClassAmbiguous, "longer than 300ms")
}

package systemd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
)

// unit is what systemd says of one.
type unit struct {
	name       string
	load       string // loaded, not-found, …
	active     string // active, activating, failed, …
	sub        string
	result     string // of its last end: success, exit-code, …
	invocation string // changes with each start
}

func (u unit) runs() bool { return u.active == "active" }

func (c *client) show(ctx context.Context, name string) (unit, error) {
	text, err := c.call(ctx, "show", "--property=LoadState,ActiveState,SubState,Result,InvocationID", "--", name)
	if err != nil {
		return unit{}, err
	}
	values := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = value
	}
	u := unit{name, values["LoadState"], values["ActiveState"], values["SubState"], values["Result"], values["InvocationID"]}
	if u.load == "" || u.active == "" {
		return u, fmt.Errorf("systemctl show says neither LoadState nor ActiveState of %s", name)
	}
	return u, nil
}

// call runs systemctl; arguments never come near a shell.
func (c *client) call(ctx context.Context, arguments ...string) (string, error) {
	argv := append([]string{c.Systemctl, "--no-ask-password", "--no-pager"}, arguments...)
	if c.Sudo {
		argv = append([]string{"/usr/bin/sudo", "-n", "--"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	switch said := (*exec.ExitError)(nil); {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &said):
		return "", refused(fmt.Errorf("systemctl %s: %w: %s", arguments[0], err, document.Shorten(strings.TrimSpace(string(said.Stderr)), 300)))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return "", actions.Permanent(err)
	case err != nil:
		return "", err
	}
	return string(out), nil
}

// refused: a missing right is missing the next time too.
func refused(err error) error {
	for _, sign := range []string{"Access denied", "authentication required", "a password is required", "not been booted with systemd"} {
		if strings.Contains(err.Error(), sign) {
			return actions.Permanent(fmt.Errorf("%w; run the engine as root, give it a polkit rule, or set sudo", err))
		}
	}
	return err
}

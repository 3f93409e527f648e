package systemd_test

// systemd does not run in a container, so that the tests call a stand-in for
// systemctl: a script that keeps the state of units in files. It knows show and
// restart as they are called here, and nothing else.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/systemd"
)

const script = `#!/bin/sh
dir=$(dirname "$0")
for last; do :; done
echo "$*" >>"$dir/calls"
[ "$1 $2" = "--no-ask-password --no-pager" ] || { echo "unknown options $1 $2" >&2; exit 1; }
state="$dir/$last"
case $3 in
show)
	if [ ! -e "$state" ]; then printf 'LoadState=not-found\nActiveState=inactive\nSubState=dead\nResult=success\nInvocationID=\n'; exit 0; fi
	cat "$state" ;;
restart)
	[ ! -e "$dir/denied" ] || { echo "Failed to restart $last: Access denied" >&2; exit 4; }
	[ ! -e "$dir/hangs" ] || exec sleep 60
	n=$(grep -c ' restart ' "$dir/calls")
	active=active sub=running result=success
	if [ -e "$dir/fails" ] && [ "$n" -le "$(cat "$dir/fails")" ]; then active=failed sub=failed result=exit-code; fi
	printf 'LoadState=loaded\nActiveState=%s\nSubState=%s\nResult=%s\nInvocationID=start%s\n' $active $sub $result "$n" >"$state.new"
	mv "$state.new" "$state"
	[ $active = active ] ;;
esac
`

type standIn struct{ dir string }

func newStandIn(t testing.TB) standIn {
	t.Helper()
	s := standIn{t.TempDir()}
	if err := os.WriteFile(filepath.Join(s.dir, "systemctl"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	s.reset(t)
	return s
}

func (s standIn) put(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s standIn) reset(t testing.TB) {
	t.Helper()
	s.put(t, "calls", "")
	s.put(t, "orders-api.service", "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nInvocationID=start0\n")
}

func (s standIn) restarts(t testing.TB) int {
	t.Helper()
	calls, err := os.ReadFile(filepath.Join(s.dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(calls), " restart ")
}

func (s standIn) config() string {
	return "local: {systemd: {systemctl: " + filepath.Join(s.dir, "systemctl") + ", units: ['orders-*.service', 'missing.service']}}"
}

func TestRestartConforms(t *testing.T) {
	s := newStandIn(t)
	conformance.Run(t, conformance.Case{
		System: systemd.System, Action: "systemd.restart", Measured: []string{"restarts"},
		Connections: func(string) string { return s.config() },
		Params:      "{unit: orders-api.service, settle: 10ms}", Nothing: "{unit: missing.service}",
		Slow:    "{unit: orders-api.service, settle: 5m}",
		Arrange: func(t *testing.T) { s.reset(t) },
		State:   func(t *testing.T) string { return fmt.Sprint(s.restarts(t)) },
	})
}

func bind(t testing.TB, s standIn, params string) actions.Bound {
	t.Helper()
	return conformance.Bind(t, conformance.Open(t, systemd.System, s.config()), "systemd.restart", params)
}

func run(t testing.TB, s standIn, params string) (restarts int, err error) {
	t.Helper()
	b := bind(t, s, params)
	found, err := b.Targets(t.Context())
	if err != nil {
		return 0, err
	}
	text, err := b.Run(t.Context(), "key", found.Targets[0])
	var r struct{ Restarts int }
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r.Restarts, err
}

func TestAUnitThatDoesNotStayUpIsRestartedAgain(t *testing.T) {
	for fails, want := range map[string]int{"0": 1, "2": 3, "4": 5} {
		s := newStandIn(t)
		s.put(t, "fails", fails)
		if got, err := run(t, s, "{unit: orders-api.service, settle: 10ms, base: 10ms}"); err != nil || got != want || s.restarts(t) != want {
			t.Errorf("a unit that fails %s times is restarted %d times, %v", fails, got, err)
		}
	}
	s := newStandIn(t)
	s.put(t, "fails", "100")
	_, err := run(t, s, "{unit: orders-api.service, settle: 10ms, base: 10ms}")
	if actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(fmt.Sprint(err), "restarted 5 times") ||
		!strings.Contains(fmt.Sprint(err), "failed (failed, exit-code)") || !strings.Contains(fmt.Sprint(err), "journalctl -u orders-api.service") {
		t.Errorf("one that always fails gives %v", err)
	}
	if s.restarts(t) != 5 {
		t.Errorf("it was restarted %d times", s.restarts(t))
	}
}

func TestRestartRefusesWhatIsNotAllowed(t *testing.T) {
	s := newStandIn(t)
	_, err := run(t, s, "{unit: sshd.service}")
	if actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(fmt.Sprint(err), "systemd.units") {
		t.Errorf("it gives %v", err)
	}
	s.put(t, "denied", "")
	_, err = run(t, s, "{unit: orders-api.service, base: 10ms}")
	if actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(fmt.Sprint(err), "polkit") || s.restarts(t) != 1 {
		t.Errorf("without the right it gives %v after %d calls", err, s.restarts(t))
	}
}

func TestAStartThatHangsCanBeCancelled(t *testing.T) {
	s := newStandIn(t)
	s.put(t, "hangs", "")
	b := bind(t, s, "{unit: orders-api.service}")
	found, err := b.Targets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(300*time.Millisecond, cancel).Stop()
	if _, err := b.Run(ctx, "key", found.Targets[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("it gives %v", err)
	}
}

func TestAUnitThatIsDownIsUnhealthy(t *testing.T) {
	s := newStandIn(t)
	s.put(t, "orders-api.service", "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=oom-kill\nInvocationID=\n")
	found, err := bind(t, s, "{unit: orders-api.service}").Targets(t.Context())
	if err != nil || len(found.Targets) != 1 || !found.Targets[0].Unhealthy || found.Targets[0].Doc != "failed (failed)" {
		t.Errorf("it selects %+v, %v", found, err)
	}
}

// A restart gives a unit another id as a target, and not as what is limited.
func TestAUnitIsOnePopulationThroughItsRestarts(t *testing.T) {
	s := newStandIn(t)
	b := bind(t, s, "{unit: orders-api.service, settle: 10ms}")
	before, err := b.Targets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, s, "{unit: orders-api.service, settle: 10ms}"); err != nil {
		t.Fatal(err)
	}
	after, err := b.Targets(t.Context())
	if err != nil || after.Targets[0].ID == before.Targets[0].ID || after.Name != before.Name || !strings.Contains(after.Name, "orders-api.service") {
		t.Errorf("before %+v, after %+v, %v", before, after, err)
	}
}

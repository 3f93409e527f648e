package wait_test

import (
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/wait"
)

func TestWaitConforms(t *testing.T) {
	conformance.Run(t, conformance.Case{
		System: wait.System,
		Action: "wait",
		Params: "{duration: 10ms}",
		Slow:   "{duration: 10m}",
	})
}

func TestWaitLastsAsLongAsItSays(t *testing.T) {
	b, problems := wait.System(nil).Actions[0].Bind([]byte("{duration: 50ms}"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	result, err := b.Run(t.Context(), "key", actions.Target{})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("waited %s", took)
	}
	if got, want := string(result), `{"duration":"50ms"}`; got != want {
		t.Errorf("gave %s, want %s", got, want)
	}
}

func TestWaitIsIdleAndHasTimeToEnd(t *testing.T) {
	a := wait.System(nil).Actions[0]
	if !a.Idle {
		t.Error("a dry run would wait")
	}
	b, _ := a.Bind([]byte("{duration: 2h}"))
	if b.Limit() <= 2*time.Hour {
		t.Errorf("a wait of 2h is stopped after %s", b.Limit())
	}
}

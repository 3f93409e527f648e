//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/api/v2/client/alert"

	"github.com/runbook-engine/runbook/internal/run"
)

var faults = []string{"kill -9", "SIGSTOP", "black hole"}

// The whole way: the shipped rule fires, the shipped runbook confirms, fences,
// promotes, repoints and proves; nothing is lost and nobody else takes writes.
func TestFailover(t *testing.T) {
	for _, fault := range append(faults, cutOff) {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, failoverOptions{heartbeat: time.Second, synchronous: true})
			t.Logf("writes are back after %s", c.takesOver(fault).Round(time.Millisecond))
		})
	}
}

// Only the engine, and the monitoring beside it, can not see the primary.
func TestNoFailoverWhenOnlyTheEngineIsCutOff(t *testing.T) {
	t.Parallel()
	c := newCluster(t, failoverOptions{heartbeat: time.Second})
	c.pair.Engine.Cut()
	r, text := c.first(2 * time.Minute)
	if r.Outcome != run.Skipped && r.Outcome != run.Fixed {
		t.Errorf("the run ended %s: %s", r.Outcome, text)
	}
	if _, err := os.Stat(c.off); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the primary was fenced: %v", err)
	}
	if both := c.writable(); fmt.Sprint(both) != "[primary]" {
		t.Errorf("writes are taken by %v", both)
	}
	if _, err := c.writer.AwaitWrite(c.patience(), time.Now()); err != nil {
		t.Errorf("clients can not write any more: %v", err)
	}
}

// A primary that can not be fenced may still be there: nothing is promoted,
// somebody is called, and when it comes back it serves.
func TestNoPromotionWithoutAFence(t *testing.T) {
	t.Parallel()
	c := newCluster(t, failoverOptions{heartbeat: time.Second, brokenFence: true})
	c.inject("black hole")
	r, text := c.first(2 * time.Minute)
	if r.Outcome == run.Fixed || r.Outcome == run.Skipped {
		t.Errorf("the run ended %s: %s", r.Outcome, text)
	}
	eventually(t, time.Minute, "somebody to be called", func() error {
		all, err := c.people.API.Alert.GetAlerts(alert.NewGetAlertsParamsWithContext(t.Context()))
		if err == nil && len(all.Payload) < 2 {
			err = fmt.Errorf("%d alerts", len(all.Payload))
		}
		return err
	})
	c.mend()
	if both := c.writable(); fmt.Sprint(both) != "[primary]" {
		t.Errorf("writes are taken by %v", both)
	}
	if _, err := c.writer.AwaitWrite(c.patience(), time.Now()); err != nil {
		t.Errorf("clients can not write any more: %v", err)
	}
}

//go:build !noembedded

package temporalserver

import (
	"errors"
	"slices"
	"testing"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

func TestWarningsAndErrorsArePassedOn(t *testing.T) {
	logged := &records{}
	l := newServerLog(logged.logger())
	l.enter(running)
	service := log.With(l, tag.Service("history"))
	service.Debug("one")
	service.Info("two")
	service.Warn("three", tag.WorkflowID("run/x"))
	service.Error("four", tag.Error(errors.New("disk full")))
	l.enter(stopping)
	service.Error("five")
	want := []string{"WARN three service=history wf-id=run/x", "ERROR four service=history error=disk full"}
	if got := logged.all(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestALostServiceEndsTheProcess(t *testing.T) {
	l := newServerLog((&records{}).logger())
	l.enter(running)
	defer func() {
		if recover() == nil {
			t.Error("a fatal message of a running server was survived")
		}
	}()
	l.Fatal("Failed to serve on history listener")
}

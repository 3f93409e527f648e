package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/temporalserver/temporaltest"
	"github.com/runbook-engine/runbook/workflows"
)

// pager keeps pages in real Alertmanagers.
type pager struct {
	t      *testing.T
	client client.Client
	pages  workflows.Pages
	queue  string
	worker worker.Worker
	id     string
	// told counts notifications, as "SERVER STATUS".
	mu   sync.Mutex
	told map[string]int
}

func newPager(t *testing.T) *pager {
	t.Helper()
	c := temporaltest.Dial(t, server)
	id := fmt.Sprintf("%s-%d", t.Name(), time.Now().UnixNano())
	p := &pager{t: t, client: c, queue: id, id: id, told: map[string]int{}}
	p.pages = workflows.Pages{Every: 100 * time.Millisecond, Lasts: 2 * time.Second}
	return p
}

// alertmanager adds one that notifies this test.
func (p *pager) alertmanager(name string) *lab.Alertmanager {
	p.t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { p.notified(name, r) }))
	a, err := lab.StartAlertmanager(p.t.Context(), p.t.TempDir(), lab.AlertmanagerOptions{
		Webhook: lab.Webhook{URL: receiver.URL}, GroupBy: []string{"..."},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := a.Kill(); err != nil {
			p.t.Error(err)
		}
		receiver.Close()
	})
	p.connect(name, a.URL)
	return a
}

func (p *pager) connect(name, url string) {
	c, err := alertmanagerapi.Open(alertmanagerapi.Config{URL: url})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(c.Close)
	p.pages.Alertmanagers = append(p.pages.Alertmanagers, alertmanagerapi.Peer{Client: c, Name: name})
}

func (p *pager) notified(server string, r *http.Request) {
	var message struct{ Alerts []struct{ Status string } }
	if json.NewDecoder(r.Body).Decode(&message) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range message.Alerts {
		p.told[server+" "+a.Status]++
	}
}

func (p *pager) notifications() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprint(p.told)
}

func (p *pager) work() {
	p.t.Helper()
	p.worker = worker.New(p.client, p.queue, workflows.WorkerOptions(p.t.Context()))
	workflows.RegisterPages(p.worker, &p.pages)
	p.worker.RegisterWorkflowWithOptions(workflows.StartPage, workflow.RegisterOptions{Name: "start"})
	if err := p.worker.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.worker.Stop)
}

func (p *pager) message() string {
	return fmt.Sprintf(`{"alertname": "Ours", "labels": {"serial": %q, "none": ""}, "annotations": {"summary": "Nothing helped"}}`, p.id)
}

// start starts the page as a run does, and gives what StartPage says.
func (p *pager) start(with string, lasts time.Duration) (missed string, err error) {
	p.t.Helper()
	m := workflows.Message{Kind: workflows.KindEscalation, Summary: "Nothing helped", With: json.RawMessage(with)}
	parent, err := p.client.ExecuteWorkflow(p.t.Context(), client.StartWorkflowOptions{TaskQueue: p.queue}, "start", p.id, m, lasts)
	if err != nil {
		p.t.Fatal(err)
	}
	err = parent.Get(p.t.Context(), &missed)
	return missed, err
}

func (p *pager) signal(name string, arg any) {
	p.t.Helper()
	if err := p.client.SignalWorkflow(p.t.Context(), workflows.PageID(p.id), "", name, arg); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pager) ended() (end workflows.PageEnded) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	if err := p.client.GetWorkflow(ctx, workflows.PageID(p.id), "").Get(ctx, &end); err != nil {
		p.t.Fatal(err)
	}
	return end
}

// shows waits until the page fires, or does not, in one of the Alertmanagers.
func (p *pager) shows(i int, want bool) {
	p.t.Helper()
	p.eventually(fmt.Sprintf("alertmanager %d to show the page: %v", i, want), func() error {
		got, err := p.fires(i)
		if err == nil && got != want {
			err = errors.New("it is not so")
		}
		return err
	})
}

// stays sees that the page fires everywhere, or nowhere, for some time.
func (p *pager) stays(want bool, during time.Duration) {
	p.t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for i := range p.pages.Alertmanagers {
			if fires, err := p.fires(i); fires != want || err != nil {
				p.t.Fatalf("alertmanager %d: fires %v, %v", i, fires, err)
			}
		}
	}
}

func (p *pager) fires(i int) (bool, error) {
	found, err := p.pages.Alertmanagers[i].Find(p.t.Context(), map[string]string{"alertname": "Ours", "serial": p.id})
	return found != nil, err
}

func (p *pager) eventually(what string, check func() error) {
	p.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited a minute for %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *pager) hears(want string) {
	p.t.Helper()
	p.eventually("notifications "+want, func() error {
		if got := p.notifications(); got != want {
			return fmt.Errorf("there are %s", got)
		}
		return nil
	})
}

// One page is one notification in each Alertmanager, however often it is posted,
// also when an Alertmanager loses its memory.
func TestAPageFiresUntilTheAlertEnds(t *testing.T) {
	t.Parallel()
	p := newPager(t)
	one := p.alertmanager("one")
	p.alertmanager("other")
	p.work()
	if missed, err := p.start(p.message(), 0); missed != "" || err != nil {
		t.Fatal(missed, err)
	}
	p.shows(0, true)
	p.shows(1, true)
	p.hears("map[one firing:1 other firing:1]")
	if err := one.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := one.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.shows(0, true)
	// Each post alone would have ended by now.
	p.stays(true, p.pages.Lasts+time.Second)
	p.signal(workflows.SignalResolved, workflows.Resolution{EndsAt: time.Now()})
	if end := p.ended(); end.By != "alertmanager" || end.Error != "" {
		t.Errorf("ended %+v", end)
	}
	p.stays(false, 1500*time.Millisecond)
	p.hears("map[one firing:1 one resolved:1 other firing:1 other resolved:1]")
}

func TestAPageGoesOnWithAnotherWorkerAndIsStartedOnce(t *testing.T) {
	t.Parallel()
	p := newPager(t)
	record, err := audit.Open(filepath.Join(t.TempDir(), "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer record.Close()
	p.pages.Audit = record
	p.alertmanager("one")
	p.work()
	if _, err := p.start(p.message(), 0); err != nil {
		t.Fatal(err)
	}
	p.shows(0, true)
	began := time.Now()
	p.worker.Stop()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the worker stopped after %s: the page did not let it", took)
	}
	p.shows(0, false) // so that what is seen next is the work of the other
	p.work()
	p.shows(0, true)
	if _, err := p.start(p.message(), 0); err != nil {
		t.Errorf("once more: %v", err)
	}
	p.signal(workflows.SignalPageEnd, workflows.PageEnd{By: "ada", Reason: "done by hand"})
	if end := p.ended(); end.By != "ada" || end.Reason != "done by hand" || end.Error != "" {
		t.Errorf("ended %+v", end)
	}
	if _, err := p.start(p.message(), 0); err != nil {
		t.Errorf("after its end: %v", err)
	}
	if fires, err := p.fires(0); fires || err != nil {
		t.Errorf("it fires after its end: %v, %v", fires, err)
	}
	p.inAudit(`"actor":"ada","reason":"done by hand"`)
}

func (p *pager) inAudit(want string) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(p.t.TempDir()), "*", "audit.jsonl"))
	if err != nil || len(files) != 1 {
		p.t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil || !strings.Contains(string(text), want) || !strings.Contains(string(text), `"action":"page/post"`) {
		p.t.Errorf("the audit file is %s, %v", text, err)
	}
}

func TestAPageEndsInTime(t *testing.T) {
	t.Parallel()
	p := newPager(t)
	p.alertmanager("one")
	p.connect("away", "http://127.0.0.1:1")
	p.work()
	missed, err := p.start(p.message(), 2*time.Second)
	if err != nil || !strings.Contains(missed, "alertmanager away: post an alert") || strings.Contains(missed, "alertmanager one") {
		t.Errorf("missed %q, %v", missed, err)
	}
	p.shows(0, true)
	p.shows(0, false)
	p.hears("map[one firing:1 one resolved:1]")
}

// People are told as soon as somebody can tell them.
func TestAPageWaitsForAnAlertmanager(t *testing.T) {
	t.Parallel()
	p := newPager(t)
	a := p.alertmanager("one")
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	p.work()
	back := make(chan error, 1)
	time.AfterFunc(time.Second, func() { back <- a.Start(context.WithoutCancel(t.Context())) })
	if _, err := p.start(p.message(), 0); err != nil {
		t.Errorf("told: %v", err)
	}
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	p.shows(0, true)
	p.signal(workflows.SignalPageEnd, workflows.PageEnd{By: "ada"})
	p.ended()
}

func TestAMessageWithoutAnAlertIsAnError(t *testing.T) {
	t.Parallel()
	p := newPager(t)
	p.work()
	if _, err := p.start("[]", 0); err == nil || !strings.Contains(err.Error(), "its message has no alert") {
		t.Errorf("got %v", err)
	}
	if end := p.ended(); !strings.Contains(end.Reason, "its message has no alert") {
		t.Errorf("ended %+v", end)
	}
}

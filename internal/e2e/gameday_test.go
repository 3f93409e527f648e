package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// theatre is a lab with an engine that plays game days in it.
type theatre struct {
	*host
	lab *lab.Lab

	mu   sync.Mutex
	told []string // what hooks were sent: path and event or text
}

// desk hears what hooks tell.
func (x *theatre) desk(_ http.ResponseWriter, r *http.Request) {
	var said struct{ Event, Text string }
	text := read(x.t, r.Body)
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		x.t.Errorf("hook %s: %v in %s", r.URL.Path, err, text)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.told = append(x.told, r.URL.Path+" "+said.Event+": "+said.Text)
}

// play plays a game day to its end.
func (x *theatre) play(d api.Drill) drills.Drill {
	x.t.Helper()
	var started api.Started
	if err := x.post("/api/v1/drills", d, &started); err != nil {
		x.t.Fatal(err)
	}
	return x.await(started.ID)
}

func (x *theatre) await(id string) (d drills.Drill) {
	x.t.Helper()
	eventually(x.t, 5*time.Minute, "the drill to end", func() error {
		if err := x.get("/api/v1/drills/"+id, &d); err != nil {
			return err
		}
		if d.Phase != drills.Ended {
			return fmt.Errorf("it is %s", d.Phase)
		}
		return nil
	})
	return d
}

func (h *host) post(path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, h.url(path), strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("POST %s: %s: %s", path, answer.Status, read(h.t, answer.Body))
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

func tell(d drills.Drill) string {
	text := fmt.Sprintf("%s because %q\n", d.Verdict.Verdict, d.Verdict.Because)
	for _, r := range d.Verdict.Reasons {
		text += fmt.Sprintf("  %s: %s\n", r.Code, r.Text)
	}
	for _, c := range d.Evidence.Preflight {
		text += fmt.Sprintf("  %s %s %s\n", c.State, c.Name, c.Text)
	}
	for _, e := range d.Verdict.Timeline {
		text += fmt.Sprintf("  %s %s\n", e.At.Format("15:04:05.000"), e.Name)
	}
	for _, a := range d.Evidence.Alerts {
		text += fmt.Sprintf("  alert %v: since %s, seen %s, webhook %s, over %s: %s\n", a.Labels, a.StartsAt, a.ActiveSeen, a.Webhook, a.Resolved, a.Decision)
	}
	for _, n := range d.Evidence.Notes {
		text += "  note: " + n + "\n"
	}
	return text
}

// passes: a drill of which nothing is changed passes, tells its hooks so, and is a
// proof of the runbook.
func (x *stand) passes(t *testing.T) {
	d := x.seen(t, mutation{})
	if d.Verdict.Verdict != verdict.Passed || d.Verdict.Because != gameday.ByRunbook {
		t.Fatalf("%s", tell(d))
	}
	x.proved(t)
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, want := range []string{"/ start: ", "/ injected: ", "/ heal: ", "/ end: game day mutated: end: passed", "/api/annotations : game day mutated: end: passed"} {
		if !slices.ContainsFunc(x.told, func(told string) bool { return strings.HasPrefix(told, want) }) {
			t.Errorf("no hook was told %q: %q", want, x.told)
		}
	}
}

// proved: the drill is a proof of the runbook.
func (x *theatre) proved(t *testing.T) {
	t.Helper()
	var trust []struct {
		Proof struct{ Passed int }
	}
	if err := x.get("/api/v1/trust", &trust); err != nil {
		t.Fatal(err)
	}
	if len(trust) != 1 || trust[0].Proof.Passed != 1 {
		t.Errorf("the drill is no proof: %+v", trust)
	}
}

func read(t testing.TB, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

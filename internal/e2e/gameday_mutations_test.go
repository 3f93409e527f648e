package e2e

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// allMutations is the variable of the environment that asks for all of them, which
// take minutes.
const allMutations = "RUNBOOK_ALL_MUTATIONS"

// mutation is one way in which the world, the rules, the runbook or the drill's own
// eyes are not as the game day takes them to be. The pool runbook would pass
// without it.
type mutation struct {
	name  string
	brief bool // played each time: the system recovers, and the runbook is not why
	world func(t *testing.T, x *stand) (undo func())
	// sees is called again and again while the drill goes on.
	sees      func(x *stand, d drills.Drill)
	book, day string // instead of the usual ones
	control   gameday.ControlRun
	// The verdict, and the code of one of its reasons; several where it depends on
	// what comes first.
	want, code string
}

func mutations() []mutation {
	all := []mutation{
		{name: "the alert is silenced", world: silenced, want: "failed", code: "webhook_missing"},
		{name: "the rule has a wrong label", world: mislabelled, want: "failed", code: "run_missing"},
		{name: "the webhook is lost", world: unheard, want: "failed", code: "webhook_missing"},
		{name: "the system heals itself", brief: true, world: healsItself, want: "inconclusive", code: "fault_lost"},
		{name: "the probe is down", sees: blinded, day: strings.Replace(quickDay, "no_answer: bad, ", "", 1), want: "inconclusive", code: "no_effect or fault_lost"},
		{name: "the runbook is disabled", book: "autonomy: off", want: "failed", code: "run_missing"},
		{name: "the runbook does nothing", book: "nothing", want: "failed", code: "not_recovered"},
		{name: "another runbook runs", brief: true, book: "another", want: "inconclusive or failed", code: "fault_lost or other_runbook"},
	}
	if runtime.GOOS == "linux" { // where processes can be frozen
		all = append(all, mutation{name: "the service is replaced, not mended", brief: true, world: frozenWorld,
			book: "frozen", day: frozenDay, want: "failed", code: "because_other"})
	}
	return all
}

// controls are the control runs of the same game day: of a drill in which nothing
// is wrong they pass, and that is what they are there to tell.
func controls() []mutation {
	return []mutation{
		{name: "a control run without the fault", control: gameday.NoFault, want: "passed", code: "passed"},
		{name: "a control run without the remedy", control: gameday.NoRemedy, want: "passed", code: "passed"},
		{name: "a control run without the remedy, whose fault somebody ends", world: healsItself, control: gameday.NoRemedy,
			want: "inconclusive", code: "fault_lost"},
	}
}

// A drill that passes does not, as soon as anything of what it stands for is not
// so.
func TestNoMutationPasses(t *testing.T) {
	t.Parallel()
	x := newStand(t)
	t.Run("nothing is changed", x.passes)
	for _, m := range slices.Concat(mutations(), controls()) {
		if m.brief || os.Getenv(allMutations) != "" {
			t.Run(m.name, func(t *testing.T) { x.plays(t, m) })
		}
	}
}

func (x *stand) plays(t *testing.T, m mutation) {
	x.calm(t)
	x.write("books/books.yaml", mutatedBook(t, m.book))
	x.write("books/day.yaml", quickDay)
	if m.day != "" {
		x.write("books/day.yaml", m.day)
	}
	x.reload(t)
	if m.world != nil {
		defer m.world(t, x)()
	}
	began := time.Now()
	d := x.seen(t, m)
	t.Logf("%s: %s %v (%s)", m.name, d.Verdict.Verdict, codes(d), time.Since(began).Round(time.Second))
	if !strings.Contains(m.want, string(d.Verdict.Verdict)) || !slices.ContainsFunc(codes(d), func(c string) bool { return strings.Contains(m.code, c) }) {
		t.Errorf("want %s with %s: %s", m.want, m.code, tell(d))
	}
}

func codes(d drills.Drill) (all []string) {
	for _, r := range d.Verdict.Reasons {
		all = append(all, r.Code)
	}
	return all
}

func silenced(t *testing.T, x *stand) func() {
	return hush(t, x.lab.Alertmanagers[0], "alertname", "DBPoolExhausted")
}

// hush silences the alerts with a label.
func hush(t testing.TB, alerts *lab.Alertmanager, name, value string) (undo func()) {
	t.Helper()
	text, yes, no := "test", true, false
	from, to := strfmt.DateTime(time.Now()), strfmt.DateTime(time.Now().Add(time.Hour))
	made, err := alerts.API.Silence.PostSilences(silence.NewPostSilencesParamsWithContext(t.Context()).WithSilence(&models.PostableSilence{Silence: models.Silence{
		Comment: &text, CreatedBy: &text, StartsAt: &from, EndsAt: &to,
		Matchers: models.Matchers{{Name: &name, Value: &value, IsEqual: &yes, IsRegex: &no}},
	}}))
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := alerts.API.Silence.DeleteSilence(silence.NewDeleteSilenceParamsWithContext(t.Context()).WithSilenceID(strfmt.UUID(made.Payload.SilenceID))); err != nil {
			t.Error(err)
		}
	}
}

func mislabelled(t *testing.T, x *stand) func() {
	rules := quickRules(t)
	return x.ruled(t, "orders.yml", strings.Replace(rules, "severity: critical", "severity: warning", 1), rules)
}

func unheard(t *testing.T, x *stand) func() {
	nowhere, err := lab.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	x.webhookTo(t, "http://"+nowhere+"/")
	return func() { x.webhookTo(t, x.host.webhook()) }
}

// healsItself: a job ends sessions that are idle in their transaction, before
// anybody is called.
func healsItself(t *testing.T, x *stand) func() {
	rules := quickRules(t)
	patient := x.ruled(t, "orders.yml", strings.Replace(rules, "for: 1s", "for: 1m", 1), rules)
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			err := x.lab.Postgres.Exec(ctx, "orders", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "+
				"WHERE state = 'idle in transaction' AND now() - state_change > interval '2 seconds'")
			if err != nil && ctx.Err() == nil {
				over <- err
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		over <- nil
	}()
	return func() {
		patient()
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}
}

// blinded: the probe has no answer as long as the fault is on.
func blinded(x *stand, d drills.Drill) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.blind = d.Phase == drills.Injecting || d.Phase == drills.Watching
}

func frozenWorld(t *testing.T, x *stand) func() {
	return x.ruled(t, "frozen.yml", frozenRule, "groups: []\n")
}

package alertmanager

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/lab"
)

func TestASilenceMutesAndItsUndoLetsSpeak(t *testing.T) {
	onEach(t, func(t *testing.T, server *lab.Alertmanager) {
		all, name := opened(t, server.URL, time.Now), unique("Muted")
		post(t, server.URL, "alerts", strings.ReplaceAll(
			`[{"labels": {"alertname": "NAME", "db": "orders"}}, {"labels": {"alertname": "NAME", "db": "stock"}}]`, "NAME", name))
		silence := bind(t, all["alertmanager.silence"],
			`{matchers: ['alertname="`+name+`"', 'db!~"stock|.*-old"'], duration: 5m, comment: at work, created_by: night shift}`)
		heard := bind(t, all["alertmanager.alerts"], `{matchers: ['alertname="`+name+`"']}`)
		muted := bind(t, all["alertmanager.alerts"], `{matchers: ['alertname="`+name+`"'], active: false, silenced: true}`)
		counts := func() [2]int {
			return [2]int{run[alertsResult](t, heard, "").Count, run[alertsResult](t, muted, "").Count}
		}
		if got := counts(); got != [2]int{2, 0} {
			t.Fatalf("before, %v alerts are active and silenced", got)
		}
		result := run[silenceResult](t, silence, "run/1")
		eventually(t, "one of them to be muted", func() bool { return counts() == [2]int{1, 1} })
		if found := run[alertsResult](t, muted, "").Alerts[0]; found.State != "suppressed" || found.Labels["db"] != "orders" {
			t.Errorf("muted is %+v", found)
		}
		made := silencesOn(t, server.URL, name)["active"]
		if len(made) != 1 || made[0].ID != result.ID || !made[0].EndsAt.Equal(result.EndsAt) ||
			made[0].CreatedBy != "night shift" || !strings.HasPrefix(made[0].Comment, "at work (runbook key ") {
			t.Errorf("it made %+v, and said %+v", made, result)
		}
		undo(t, silence, "run/1")
		eventually(t, "both to be heard again", func() bool { return counts() == [2]int{2, 0} })
	})
}

func TestWhatAPersonExpiredIsNotSilencedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, server *lab.Alertmanager) {
		name := unique("Expired")
		silence := bind(t, opened(t, server.URL, time.Now)["alertmanager.silence"],
			`{matchers: ['alertname="`+name+`"'], duration: 5m, comment: c}`)
		first := run[silenceResult](t, silence, "run/1")
		request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, server.URL+"/api/v2/silence/"+first.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
		response.Body.Close()
		if again := run[silenceResult](t, silence, "run/1"); again.ID != first.ID {
			t.Errorf("first %s, then %s", first.ID, again.ID)
		}
		undo(t, silence, "run/1")
		if n := len(silencesOn(t, server.URL, name)["active"]); n != 0 {
			t.Errorf("%d silences are active", n)
		}
		if other := run[silenceResult](t, silence, "run/2"); other.ID == first.ID {
			t.Error("another run got the silence that had expired")
		}
	})
}

func TestASilenceOfEverythingIsRefused(t *testing.T) {
	action := opened(t, "http://127.0.0.1:1", time.Now)["alertmanager.silence"]
	for matchers, refused := range map[string]bool{
		`'alertname=~".*"'`:                       true,
		`'alertname=~".+"'`:                       true,
		`'alertname!="x"', 'job!~"y"'`:            true,
		`'alertname=""'`:                          true,
		`'alertname=~"|A"'`:                       true,
		`'alertname=~"A|B"'`:                      false,
		`'alertname=~".+"', 'severity="warning"'`: false,
	} {
		_, err := bind(t, action, "{duration: 5m, comment: c, matchers: ["+matchers+"]}").Run(t.Context(), "run/1", actions.Target{})
		if got := strings.Contains(err.Error(), "every alert"); got != refused || refused && actions.ClassOf(err) != actions.ClassPermanent {
			t.Errorf("%s: %v (%s)", matchers, err, actions.ClassOf(err))
		}
	}
}

package alertmanager

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/lab"
)

func TestARetriedRaiseIsOneAlertAndOneNotification(t *testing.T) {
	onEach(t, func(t *testing.T, server *lab.Alertmanager) {
		name := unique("Retried")
		raise := bind(t, opened(t, server.URL, time.Now)["alertmanager.raise"],
			fmt.Sprintf(`{alertname: %s, labels: {severity: page, empty: ''}, annotations: {summary: s}, for: 10m, generator_url: 'http://127.0.0.1/run'}`, name))
		first := run[raiseResult](t, raise, "run/1")
		eventually(t, "the notification", func() bool { return sink.of(name, "firing") == 1 })
		if again := run[raiseResult](t, raise, "run/1"); fmt.Sprint(again) != fmt.Sprint(first) {
			t.Errorf("raised %v, and repeated %v", first, again)
		}
		other := run[raiseResult](t, raise, "run/2")
		if other.Fingerprint != first.Fingerprint || !other.StartsAt.Equal(first.StartsAt) || !other.EndsAt.After(first.EndsAt) {
			t.Errorf("another run raised %v; it must be the same episode as %v, and last longer", other, first)
		}
		found := firingNow(t, server.URL, name)
		if len(found) != 1 || !maps.Equal(found[0].Labels, map[string]string{"alertname": name, "severity": "page"}) ||
			found[0].Annotations["summary"] != "s" || found[0].GeneratorURL != "http://127.0.0.1/run" ||
			first.EndsAt.Sub(first.StartsAt) != 10*time.Minute {
			t.Errorf("it lists %+v", found)
		}
		selection, err := raise.Targets(t.Context())
		if err != nil || selection.Targets[0].ID != "alert/"+name+"/"+found[0].Fingerprint {
			t.Errorf("the target is %v (%v), the fingerprint %s", selection, err, found[0].Fingerprint)
		}
		undo(t, raise, "run/1")
		if len(firingNow(t, server.URL, name)) != 1 {
			t.Error("the undo of a run resolved what a later run raised")
		}
		undo(t, raise, "run/2")
		eventually(t, "the notification that it is resolved", func() bool { return sink.of(name, "resolved") == 1 })
		if n := sink.of(name, "firing"); n != 1 {
			t.Errorf("notified of it %d times", n)
		}
	})
}

func TestOtherLabelsAreAnotherAlert(t *testing.T) {
	onEach(t, func(t *testing.T, server *lab.Alertmanager) {
		name := unique("Other")
		action := opened(t, server.URL, time.Now)["alertmanager.raise"]
		for _, db := range []string{"orders", "stock"} {
			raise := bind(t, action, "{alertname: "+name+", labels: {db: "+db+"}}")
			if got := run[raiseResult](t, raise, "run/1"); got.Labels["db"] != db {
				t.Errorf("raised for %s: %+v", db, got)
			}
		}
		undo(t, bind(t, action, "{alertname: "+name+", labels: {db: stock}}"), "run/1")
		if left := firingNow(t, server.URL, name); len(left) != 1 || left[0].Labels["db"] != "orders" {
			t.Errorf("after one undo there are %+v", left)
		}
	})
}

func TestARaisedAlertEndsByItself(t *testing.T) {
	onEach(t, func(t *testing.T, server *lab.Alertmanager) {
		name := unique("Ending")
		// Its minute is over in a second.
		past := func() time.Time { return time.Now().Add(-59 * time.Second) }
		raise := bind(t, opened(t, server.URL, past)["alertmanager.raise"], "{alertname: "+name+", for: 1m}")
		run[raiseResult](t, raise, "run/1")
		eventually(t, "its end", func() bool { return len(firingNow(t, server.URL, name)) == 0 })
	})
}

// Alertmanager takes an alert that is over by its own clock, and tells nobody.
func TestRaiseSaysWhenNobodyWillBeNotified(t *testing.T) {
	onEach(t, func(t *testing.T, server *lab.Alertmanager) {
		behind := func() time.Time { return time.Now().Add(-time.Hour) }
		raise := bind(t, opened(t, server.URL, behind)["alertmanager.raise"], "{alertname: "+unique("Late")+", for: 10m}")
		_, err := raise.Run(t.Context(), "run/1", actions.Target{})
		if err == nil || !strings.Contains(err.Error(), "clock") || actions.ClassOf(err) != actions.ClassAmbiguous {
			t.Errorf("gives %v (%s)", err, actions.ClassOf(err))
		}
	})
}

func TestUndoResolvesAlsoWhenTheClocksDiffer(t *testing.T) {
	for _, skew := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		onEach(t, func(t *testing.T, server *lab.Alertmanager) {
			name := unique("Skewed")
			raise := bind(t, opened(t, server.URL, func() time.Time { return time.Now().Add(skew) })["alertmanager.raise"],
				"{alertname: "+name+", for: 2h}")
			run[raiseResult](t, raise, "run/1")
			undo(t, raise, "run/1")
			if found := firingNow(t, server.URL, name); len(found) != 0 {
				t.Errorf("with a clock %s ahead it still fires: %+v", skew, found)
			}
		})
	}
}

func TestHostileLabelsArriveAsTheyAre(t *testing.T) {
	values := []string{
		`"}, {"alertname": "Other`, `'; DROP TABLE alerts; --`, `$(reboot)`, "two\nlines\tand a tab", `back\slash\n`, "漢字 é 🔥",
		"\x01 control", strings.Repeat("long ", 20_000), `a=~".*"`,
	}
	onEach(t, func(t *testing.T, server *lab.Alertmanager) {
		action := opened(t, server.URL, time.Now)["alertmanager.raise"]
		for i, value := range values {
			params, err := json.Marshal(map[string]any{"alertname": value, "labels": map[string]string{"v": value, "i": fmt.Sprint(i)}})
			if err != nil {
				t.Fatal(err)
			}
			raise := bind(t, action, string(params))
			got := run[raiseResult](t, raise, "run/1")
			if got.Labels["alertname"] != value || got.Labels["v"] != value {
				t.Errorf("%.40q became %.40q", value, got.Labels["v"])
			}
			selection, err := raise.Targets(t.Context())
			if err != nil || !strings.HasSuffix(selection.Targets[0].ID, "/"+got.Fingerprint) {
				t.Errorf("%.40q: the target is %.80v (%v), the fingerprint %s", value, selection, err, got.Fingerprint)
			}
			undo(t, raise, "run/1")
		}
	})
}

package chaos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/internal/document"
)

func pod(name, namespace string, labels map[string]string) chaos.Target {
	return chaos.Target{Target: actions.Target{ID: "pod/" + namespace + "/" + name}, Namespace: namespace, Labels: labels}
}

func pods(population int, targets ...chaos.Target) chaos.Selection {
	return chaos.Selection{Targets: targets, Population: population}
}

func TestLimitsDenyWhatTheyDoNotAllow(t *testing.T) {
	a, b := pod("a", "shop", nil), pod("b", "shop", map[string]string{"tier": "payments"})
	shop := chaos.Limits{Namespaces: []string{"shop"}}
	with := func(change func(*chaos.Limits)) chaos.Limits {
		l := shop
		change(&l)
		return l
	}
	for name, test := range map[string]struct {
		limits   chaos.Limits
		s        chaos.Selection
		duration time.Duration
		wants    string // empty: allowed
	}{
		"one in an allowed namespace":       {shop, pods(3, a), time.Minute, ""},
		"one outside Kubernetes":            {chaos.Limits{}, chaos.One("database/orders", ""), time.Minute, ""},
		"nothing":                           {shop, pods(3), time.Minute, "selects nothing"},
		"no namespace allowed":              {chaos.Limits{}, pods(3, a), time.Minute, "not among those allowed"},
		"another namespace":                 {shop, pods(3, pod("x", "bank", nil)), time.Minute, "bank is not among"},
		"kube-system":                       {chaos.Limits{Namespaces: []string{"kube-system"}}, pods(3, pod("x", "kube-system", nil)), time.Minute, "no fault touches"},
		"two without a word":                {shop, pods(3, a, b), time.Minute, "more than the limit of 1"},
		"two of two":                        {with(func(l *chaos.Limits) { l.MaxTargets.Count = 2 }), pods(3, a, b), time.Minute, ""},
		"two of three, half allowed":        {with(func(l *chaos.Limits) { l.MaxTargets.Percent = 50 }), pods(3, a, b), time.Minute, "2 of 3"},
		"two of three, 67 % allowed":        {with(func(l *chaos.Limits) { l.MaxTargets.Percent = 67 }), pods(3, a, b), time.Minute, ""},
		"percent of nobody knows":           {with(func(l *chaos.Limits) { l.MaxTargets.Percent = 100 }), pods(0, a), time.Minute, "nobody knows"},
		"protected by a matcher":            {with(func(l *chaos.Limits) { l.Protected = []string{`tier="payments"`} }), pods(3, b), time.Minute, "protected by tier"},
		"protected by a Kubernetes label":   {with(func(l *chaos.Limits) { l.Protected = []string{`app.kubernetes.io/name="db"`} }), pods(3, pod("d", "shop", map[string]string{"app.kubernetes.io/name": "db"})), time.Minute, "protected by"},
		"another than the one protected":    {with(func(l *chaos.Limits) { l.Protected = []string{`app.kubernetes.io/name="db"`} }), pods(3, a), time.Minute, ""},
		"a matcher that is none":            {with(func(l *chaos.Limits) { l.Protected = []string{`tier=~"("`} }), pods(3, a), time.Minute, "protected: "},
		"protected by its label":            {shop, pods(3, pod("p", "shop", map[string]string{"runbook/protected": "true"})), time.Minute, "protected by its label"},
		"longer than the default":           {shop, pods(3, a), 11 * time.Minute, "longer than the limit of 10m"},
		"longer than anybody may":           {with(func(l *chaos.Limits) { l.MaxDuration = model.Duration(2 * time.Hour) }), pods(3, a), 61 * time.Minute, "limit of 1h"},
		"longer than the document allows":   {with(func(l *chaos.Limits) { l.MaxDuration = model.Duration(time.Minute) }), pods(3, a), 2 * time.Minute, "limit of 1m"},
		"as long as the document allows":    {with(func(l *chaos.Limits) { l.MaxDuration = model.Duration(time.Hour) }), pods(3, a), time.Hour, ""},
		"negative":                          {shop, pods(3, a), -time.Minute, "can not last"},
		"more than one thing that is wrong": {chaos.Limits{}, pods(3, a, b), time.Hour, "pod/shop/b: the namespace"},
	} {
		err := test.limits.Check(test.s, test.duration)
		if (err == nil) != (test.wants == "") || (err != nil && !strings.Contains(err.Error(), test.wants)) {
			t.Errorf("%s: %v, want …%s…", name, err, test.wants)
		}
	}
}

func TestLimitsAreReadFromADocument(t *testing.T) {
	n, problems := document.ParseMapping("limits", []byte(`{namespaces: [shop], max_targets: {percent: 34}}`))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var l chaos.Limits
	if err := document.Decode(n, &l).Err(); err != nil {
		t.Fatal(err)
	}
	if l.MaxTargets.Percent != 34 || time.Duration(l.MaxDuration) != chaos.DefaultMaxDuration || l.Namespaces[0] != "shop" {
		t.Errorf("read %+v", l)
	}
}

func TestIDsAreShortPlainAndTellTheirGameDay(t *testing.T) {
	long := "gameday/Orders pool exhaustion/2026-11-21T10:00:00Z"
	for _, day := range []string{"gd-1", long, "", "---", "Ünïcode"} {
		for _, fault := range []string{"hold", "a-fault-with-a-very-long-name", ""} {
			id := chaos.NewID(day, fault)
			if len(id) > 46 || id != chaos.NewID(day, fault) || id.Owner() != chaos.Owner(day) {
				t.Errorf("%q %q: %q", day, fault, id)
			}
			if err := bound(t, chaos.Define(block()), t.TempDir()).Inject(t.Context(), id, time.Now().Add(time.Minute)); err != nil {
				t.Errorf("%q %q: %v", day, fault, err)
			}
		}
	}
	if chaos.NewID("gd-1", "hold") != "gd-1.hold" || chaos.NewID(long, "a") == chaos.NewID(long+"x", "a") {
		t.Error("ids are not what they should be")
	}
}

func TestTheLimitOfTargetsInWords(t *testing.T) {
	for want, most := range map[string]chaos.MaxTargets{"1": {}, "3": {Count: 3}, "34 %": {Percent: 34}, "3 and 34 %": {Count: 3, Percent: 34}} {
		if got := most.String(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

package webhook

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/runbooks"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// The files are what these versions of Alertmanager sent.
func TestDecodesWhatEachVersionSends(t *testing.T) {
	for version, reason := range map[string]string{
		"0.25.0": "", "0.31.1": "", "0.32.0": "some alerts resolved", "0.34.2": "some alerts resolved",
	} {
		m, alerts, err := Decode(read(t, "alertmanager-"+version+"-partly-resolved.json"))
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		if m.NotificationReason != reason || m.Receiver != "webhook" || m.GroupLabels["alertname"] != "DBPoolExhausted" {
			t.Errorf("%s: message %+v", version, m)
		}
		if len(alerts) != 2 {
			t.Fatalf("%s: %d alerts", version, len(alerts))
		}
		firing, over := alerts[0], alerts[1]
		if firing.Resolved() || firing.Labels["database"] != "billing" || !firing.EndsAt.IsZero() {
			t.Errorf("%s: first alert %+v", version, firing)
		}
		if !over.Resolved() || over.Labels["database"] != "orders" || over.EndsAt.IsZero() || over.Fingerprint != "2c340ecd0abfbc45" {
			t.Errorf("%s: second alert %+v", version, over)
		}
		if over.ExternalURL != "http://alertmanager.example:9093" || over.GeneratorURL == "" || over.Annotations["summary"] == "" {
			t.Errorf("%s: second alert %+v", version, over)
		}
	}
}

func TestFingerprintIsThatOfAlertmanager(t *testing.T) {
	for _, version := range []string{"0.25.0", "0.34.2"} {
		body := read(t, "alertmanager-"+version+"-firing.json")
		_, sent, err := Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		_, computed, err := Decode([]byte(strings.ReplaceAll(string(body), `"fingerprint"`, `"finger"`)))
		if err != nil {
			t.Fatal(err)
		}
		if sent[0].Fingerprint != computed[0].Fingerprint {
			t.Errorf("%s: computed %s, Alertmanager says %s", version, computed[0].Fingerprint, sent[0].Fingerprint)
		}
	}
}

func one(alert string) string { return `{"version":"4","status":"firing","alerts":[` + alert + `]}` }

const plain = `"status":"firing","startsAt":"2026-01-02T03:04:05.678901234Z"`

// What a fingerprint may be is closed: it becomes part of the id of a run.
func TestForeignFingerprintIsNotTaken(t *testing.T) {
	for _, given := range []string{"", "../../x", "ABCDEF0123456789", strings.Repeat("a", 1_000_000), "0123456789abcde'"} {
		_, alerts, err := Decode([]byte(one(fmt.Sprintf(`{%s,"labels":{"alertname":"A"},"fingerprint":%q}`, plain, given))))
		if err != nil {
			t.Fatal(err)
		}
		if want := fingerprint(map[string]string{"alertname": "A"}); alerts[0].Fingerprint != want {
			t.Errorf("fingerprint %.40q became %.40q", given, alerts[0].Fingerprint)
		}
	}
}

// Alertmanager tells nanoseconds in a notification and milliseconds in a list;
// both must be the same episode.
func TestEpisodeDoesNotDependOnNanoseconds(t *testing.T) {
	_, notified, err := Decode([]byte(one(`{` + plain + `,"labels":{"alertname":"A"}}`)))
	if err != nil {
		t.Fatal(err)
	}
	startsAt := strfmt.DateTime(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC))
	listed := Listed(&models.GettableAlert{
		Alert: models.Alert{Labels: notified[0].Labels}, StartsAt: &startsAt, Fingerprint: &notified[0].Fingerprint,
	}, "runbook", nil)
	if notified[0].Episode() != listed.Episode() {
		t.Errorf("notified %s, listed %s", notified[0].Episode(), listed.Episode())
	}
}

func TestUnknownFieldsDoNotMatter(t *testing.T) {
	_, alerts, err := Decode([]byte(`{"version":"4","future":{"a":[1,{"b":null}]},"alerts":[{` + plain + `,"labels":{"alertname":"A"},"score":0.5}]}`))
	if err != nil || len(alerts) != 1 {
		t.Errorf("%d alerts, %v", len(alerts), err)
	}
}

func TestRefusesWhatNoAlertmanagerSends(t *testing.T) {
	for name, c := range map[string]struct{ body, says string }{
		"nothing":            {"", "no JSON object"},
		"an array":           {`[{"alerts":[]}]`, "no JSON object"},
		"a string":           {`"alerts"`, "no JSON object"},
		"half a message":     {`{"version":"4","alerts":[{`, "unexpected EOF"},
		"two messages":       {`{"alerts":[]}{"alerts":[]}`, "something follows"},
		"no list of alerts":  {`{"version":"4"}`, "custom payload"},
		"null for alerts":    {`{"version":"4","alerts":null}`, "custom payload"},
		"a wrong type":       {`{"version":"4","alerts":{"a":1}}`, "not a message"},
		"another version":    {`{"version":"5","alerts":[]}`, `version "5"`},
		"no labels":          {one(`{` + plain + `}`), "alert 0: it has no labels"},
		"empty labels":       {one(`{` + plain + `,"labels":{}}`), "it has no labels"},
		"a number as label":  {one(`{` + plain + `,"labels":{"a":1}}`), "not a message"},
		"no startsAt":        {one(`{"status":"firing","labels":{"a":"b"}}`), "it has no startsAt"},
		"a zero startsAt":    {one(`{"status":"firing","labels":{"a":"b"},"startsAt":"0001-01-01T00:00:00Z"}`), "it has no startsAt"},
		"a startsAt too far": {one(`{"status":"firing","labels":{"a":"b"},"startsAt":"9999-01-01T00:00:00Z"}`), "it has no startsAt"},
		"no time":            {one(`{"status":"firing","labels":{"a":"b"},"startsAt":"yesterday"}`), "not a message"},
		"an unknown status":  {one(`{"status":"suppressed","labels":{"a":"b"},"startsAt":"2026-01-02T03:04:05Z"}`), "neither firing nor resolved"},
		"brackets":           {`{"alerts":` + strings.Repeat("[", 100_000), "not a message"},
	} {
		_, _, err := Decode([]byte(c.body))
		if err == nil {
			t.Errorf("%s was taken", name)
			continue
		}
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if len(err.Error()) > 500 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
	}
}

func TestHostileValuesStayWhatTheyAre(t *testing.T) {
	for _, value := range []string{
		`"; rm -rf / #`, "$(reboot)", "`reboot`", "' OR 1=1; DROP TABLE orders; --", "a\x00b", "${alert.labels.x}", "../../etc/passwd",
		strings.Repeat("x", 1_000_000), "\u202emoc", "\x1b[2J",
	} {
		body := one(fmt.Sprintf(`{%s,"labels":{"alertname":"A","v":%s}}`, plain, quoted(value)))
		_, alerts, err := Decode([]byte(body))
		if err != nil {
			t.Fatalf("%.20q: %v", value, err)
		}
		if alerts[0].Labels["v"] != value {
			t.Errorf("%.20q became %.20q", value, alerts[0].Labels["v"])
		}
	}
	_, alerts, err := Decode([]byte(one(`{` + plain + `,"labels":{"alertname":"A","v":"` + "a\xffb" + `"}}`)))
	if err != nil || alerts[0].Labels["v"] != "a\ufffdb" {
		t.Errorf("invalid UTF-8: %q, %v", alerts[0].Labels["v"], err)
	}
}

// The worst body that is known, of many small labels, must not take memory out
// of proportion.
func TestMemoryIsBounded(t *testing.T) {
	var labels strings.Builder
	for i := 0; labels.Len() < 4<<20; i++ {
		fmt.Fprintf(&labels, `"%d":"",`, i)
	}
	body := []byte(one(`{` + plain + `,"labels":{` + labels.String() + `"alertname":"A"}}`))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := Decode(body); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 60*uint64(len(body)) {
		t.Errorf("%d bytes were taken for a body of %d", used, len(body))
	}
}

// FuzzDecode looks for a panic, and for an alert that breaks what the rest of
// the engine relies on.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add(read(f, filepath.Base(file)))
	}
	f.Add([]byte(one(`{` + plain + `,"labels":{"alertname":"A"}}`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, alerts, err := Decode(body)
		if err != nil {
			return
		}
		for i := range alerts {
			checkSound(t, &alerts[i])
		}
		groupMatchers(m.GroupLabels)
	})
}

func checkSound(t *testing.T, a *runbooks.Alert) {
	t.Helper()
	if !fingerprintForm.MatchString(a.Fingerprint) || len(a.Labels) == 0 || a.StartsAt.IsZero() || (a.Status != "firing" && a.Status != "resolved") {
		t.Errorf("unsound alert %+v", a)
	}
	if id := runbooks.WorkflowID(runbooks.RunID("r", a.Episode())); len(id) > 100 {
		t.Errorf("the id has %d bytes", len(id))
	}
}
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

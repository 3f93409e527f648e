package prometheus_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/prometheus"
)

func TestQueryConforms(t *testing.T) {
	conformance.Run(t, conformance.Case{
		System:      prometheus.System,
		Action:      "prometheus.query",
		Connections: withToken(secretFile(t, token)),
		Address:     guarded(t),
		Secrets:     []string{token},
		Params:      "{query: 'vector(3)', connection: main}",
	})
}

// two is a query that gives two series, 1 and 4.
const two = `vector(1) or label_replace(vector(4), "db", "orders", "", "")`

func TestQueryAnswers(t *testing.T) {
	connections := withToken(secretFile(t, token))(guarded(t))
	for params, want := range map[string]string{
		"{query: '42'}":                         `{"value":42,"series":[],"warnings":[]}`,
		"{query: 'vector(0.25)'}":               `{"value":0.25,"series":[{"labels":{},"value":0.25}],"warnings":[]}`,
		"{query: 'absent(x) or vector(0)'}":     `{"value":1,"series":[{"labels":{},"value":1}],"warnings":[]}`,
		"{query: '" + two + "', reduce: max}":   `"value":4,`,
		"{query: '" + two + "', reduce: min}":   `"value":1,`,
		"{query: '" + two + "', reduce: sum}":   `"value":5,`,
		"{query: '" + two + "', reduce: avg}":   `"value":2.5,`,
		"{query: '" + two + "', reduce: count}": `"value":2,"series":[{"labels":{},"value":1},{"labels":{"db":"orders"},"value":4}]`,
	} {
		got, err := run(t, connections, params)
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s gives %s, %v, want %s", params, got, err, want)
		}
	}
}

func TestQueryRefusesWhatIsNoOneNumber(t *testing.T) {
	connections := withToken(secretFile(t, token))(guarded(t))
	for params, says := range map[string]string{
		"{query: 'absent(vector(1))'}":                "returned no data",
		"{query: 'absent(vector(1))', reduce: count}": "returned no data",
		"{query: 'absent(vector(1))', reduce: sum}":   "returned no data",
		"{query: '" + two + "'}":                      "returned 2 series",
		"{query: 'vector(0) / 0'}":                    "is NaN",
		"{query: 'vector(1) / 0'}":                    "is +Inf",
		"{query: '-1 / 0'}":                           "is -Inf",
		"{query: '" + two + " or vector(NaN)'}":       "2 series",
		"{query: '(" + two + ") / 0', reduce: min}":   "is +Inf",
		"{query: 'vector(1) or label_replace(vector(1) / 0, \"db\", \"b\", \"\", \"\")', reduce: min}": `{db="b"} is +Inf`,
		"{query: 'up[5m]'}": "a range of values",
		"{query: 'sum('}":   "parse error",
		"{query: 'vector(1) * on(a) (" + two + " or label_replace(vector(2), \"db\", \"b\", \"\", \"\"))'}": `query prometheus "main": execution`,
	} {
		_, err := run(t, connections, params)
		fails(t, err, actions.ClassPermanent, says)
	}
}

func TestQueryBoundsWhatComesBack(t *testing.T) {
	many := serve(t, answer(`{"status":"success","data":{"resultType":"vector","result":[`+
		strings.Repeat(`{"metric":{},"value":[0,"1"]},`, 1000)+`{"metric":{},"value":[0,"1"]}]}}`))
	_, err := run(t, "main: {prometheus: {url: 'http://"+many+"'}}", "{query: up, reduce: sum}")
	fails(t, err, actions.ClassPermanent, "more than 1000 series")

	vast := serve(t, answer(`{"status":"success","data":"`+strings.Repeat("x", 9<<20)+`"}`))
	_, err = run(t, "main: {prometheus: {url: 'http://"+vast+"'}}", "{query: up}")
	fails(t, err, actions.ClassPermanent, "too large")
}

func TestQueryAsksForNoMoreThanItTakes(t *testing.T) {
	var asked url.Values
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		asked = r.Form
		answer(`{"status":"success","warnings":["half of it"],"data":{"resultType":"scalar","result":[0,"1"]}}`)(w, r)
	})
	got, err := run(t, "main: {prometheus: {url: 'http://"+address+"/prefix'}}", "{query: up}")
	if err != nil || !strings.Contains(got, `"warnings":["half of it"]`) {
		t.Errorf("gives %s, %v", got, err)
	}
	if asked.Get("limit") != "1001" {
		t.Errorf("asked for %v", asked)
	}
}

func TestQueryClassifiesFailures(t *testing.T) {
	for status, class := range map[int]actions.Class{
		http.StatusUnauthorized:        actions.ClassPermanent,
		http.StatusForbidden:           actions.ClassPermanent,
		http.StatusNotFound:            actions.ClassPermanent,
		http.StatusFound:               actions.ClassPermanent,
		http.StatusTooManyRequests:     actions.ClassTransient,
		http.StatusRequestTimeout:      actions.ClassTransient,
		http.StatusInternalServerError: actions.ClassTransient,
		http.StatusBadGateway:          actions.ClassTransient,
		http.StatusServiceUnavailable:  actions.ClassTransient,
	} {
		address := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/login")
			w.WriteHeader(status)
		})
		_, err := run(t, "main: {prometheus: {url: 'http://"+address+"'}}", "{query: up}")
		fails(t, err, class, `query prometheus "main"`)
	}
	page := serve(t, answer("<html>welcome</html>"))
	_, err := run(t, "main: {prometheus: {url: 'http://"+page+"'}}", "{query: up}")
	fails(t, err, actions.ClassPermanent, "bad_response")
}

func TestAFailureSaysWhatAPersonNeeds(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	_, err := run(t, "main: {prometheus: {url: '"+server.URL+"'}}", "{query: up}")
	fails(t, err, actions.ClassTransient, `query prometheus "main": dial tcp `+server.Listener.Addr().String())
}

func answer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

func TestDefaults(t *testing.T) {
	c := DefaultConfig()
	if c.Listen != DefaultListen || c.DataDir != "runbook-data" || c.Audit.File != "runbook-data/audit.jsonl" ||
		c.Temporal.Namespace != "default" || c.Temporal.TaskQueue != "runbook" || c.Webhook.MaxBody != 16<<20 ||
		time.Duration(c.Webhook.Wait) != 10*time.Second || c.retention() != 180*24*time.Hour || c.Log.Level != "info" {
		t.Errorf("the defaults are %+v", c)
	}
}

func TestPathsAreRelativeToTheConfig(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "etc/token", "x")
	c, _, problems := LoadConfig(write(t, dir, "etc/runbook.yaml", `
runbooks: [books, /srv/books]
auth: {tokens: [{name: ci, token_file: token}]}
`))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.DataDir, c.Audit.File, c.Runbooks, c.Auth.Tokens[0].File)
	want := strings.ReplaceAll("ETC/runbook-dataETC/runbook-data/audit.jsonl[ETC/books /srv/books]ETC/token", "ETC", filepath.Join(dir, "etc"))
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func problemsOf(t *testing.T, config string) []string {
	t.Helper()
	_, sources, problems := LoadConfig(write(t, t.TempDir(), "runbook.yaml", config))
	if len(sources) != 1 {
		t.Errorf("%d sources", len(sources))
	}
	return texts(problems)
}

func texts(problems diag.List) []string {
	var all []string
	for _, p := range problems {
		all = append(all, fmt.Sprintf("%d:%d %s (%s)", p.Line, p.Col, p.Text, p.Code))
	}
	return all
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("problem %d is %s\nwant %s", i, got[i], want[i])
		}
	}
}

func TestEveryMistakeIsReportedWithItsPlace(t *testing.T) {
	expect(t, problemsOf(t, `listn: 127.0.0.1:1
retention: 10
log: {level: loud}
webhook: {max_body: 1, wait: 1h}
connections:
  orders: {postgres: {dsn_file: x}, http: {}}
  shop: {mongodb: {}}
  am: {alertmanager: {url: "ftp://x", uri: 1}}
windows:
  night: [{times: [{start_time: "25:00", end_time: "26:00"}]}]
  weekend: [{weekday: [saturday]}]
  none: []
`),
		`1:1 unknown key "listn"`,
		`2:12 retention must be a duration`,
		`3:14 level`,
		`4:21 max_body`,
		`4:30 wait`,
		`6:3 connection "orders" must have exactly one kind`,
		`7:10 unknown kind of connection "mongodb"`,
		`8:39 unknown key "uri"`,
		`10:12 the time interval is not valid`,
		`11:14 unknown key "weekday"`,
		`12:9 a window must be a list`,
	)
	expect(t, problemsOf(t, `guards: {max_runs: 0, rate: [100/h, some], storm: {runs: -1, within: 2d}, queue: {max: 30000}, lease: 1s}
autonomy: {max: always, rules: [{matchers: ['env="prod']}, {max: auto, matchers: []}]}
windows:
  nothing: {autonomy: propose}
  both: {ics: a.ics, intervals: [{weekdays: [sunnday]}], location: Mars}
  zone: {intervals: [{weekdays: [sunday]}], location: Europe/Berlin}
  level: {ics: a.ics, autonomy: some}
  key: {ical: a.ics}
  text: sunday
  empty: {intervals: []}
`),
		`1:20 max_runs must be at least 1`,
		`1:37 rate "some" is not a number of times in a length of time (rate)`,
		`1:58 runs must be at least 0`,
		`1:70 within must be at most 1d`,
		`1:88 max must be at most 20000`,
		`1:103 lease must be at least 5s`,
		`2:17 max can not be "always"`,
		`2:34 a rule needs the key "max"`,
		`2:50 matcher`,
		`2:82 matchers must be at least 1 item`,
		`4:13 a window needs intervals, ics or both`,
		`5:35 the time interval is not valid`,
		`5:68 there is no time zone "Mars" (time-zone)`,
		`6:45 location is that of a calendar`,
		`7:33 autonomy can not be "some"`,
		`8:9 unknown key "ical"`,
		`9:9 a window must be a list`,
		`10:22 intervals must be at least 1 item`,
	)
	expect(t, problemsOf(t, "guards: {each: {cooldown: 5, rate: [1/h], max_errors: 0, approve: {at: never}}}\n"),
		"1:27 cooldown must be a duration", `1:30 unknown key "rate"`, "1:55 max_errors must be at least 1", "1:72 at can not be")
	expect(t, problemsOf(t, "guards: {each: {max_targets: {}}}\n"), "1:17 max_targets needs count, percent or both")
	expect(t, problemsOf(t, "guards: {each: {min_healthy: {}}}\n"), "1:17 min_healthy needs count, percent or both")
}

func TestFieldsThatDoNotGoTogether(t *testing.T) {
	for config, want := range map[string]string{
		"listen: 0.0.0.0:7250":                            `1:9 listen "0.0.0.0:7250" can be reached from other machines`,
		"listen: ':7250'":                                 `1:9 listen ":7250" can be reached from other machines`,
		"listen: '[::]:7250'":                             `1:9 listen "[::]:7250" can be reached from other machines`,
		"listen: runbook.example:7250":                    `1:9 listen "runbook.example:7250" can be reached`,
		"listen: localhost":                               `1:9 listen "localhost" is no address`,
		"tls: {cert_file: a}":                             "1:7 tls.cert_file and tls.key_file go together",
		"tls: {client_ca_file: a}":                        "1:7 tls.client_ca_file needs tls.cert_file",
		"temporal: {api_key_file: a}":                     "1:12 temporal.tls and temporal.api_key_file are for a cluster",
		"temporal: {address: somewhere}":                  `1:12 temporal.address "somewhere" is no address`,
		"temporal: {address: 'a:1', tls: {cert_file: a}}": "1:12 temporal.tls.cert_file and",
		"auth: {tokens: [{name: a, token_file: a}, {name: a, token_file: b}]}": `1:8 auth: the name "a" is used twice`,
		"webhook: {receiver: 'a('}": "1:11 webhook.receiver is no pattern",
		"webhook: {reconcile: 1s}":  "1:11 webhook.reconcile must be at least 10s",
		"alertmanagers: [people]":   `1:16 no alertmanager connection "people"`,
		"connections: {a: {alertmanager: {url: 'http://a'}}, b: {alertmanager: {url: 'http://b'}}}": "1:1 several alertmanager connections",
	} {
		expect(t, problemsOf(t, config), want)
	}
	for _, config := range []string{
		"listen: localhost:7250", "listen: '[::1]:7250'", "",
		"listen: ':7250'\ntls: {cert_file: a, key_file: b, client_ca_file: c}",
		"connections: {a: {alertmanager: {url: 'http://a'}}, b: {alertmanager: {url: 'http://b'}}}\nalertmanagers: [b, a]",
	} {
		expect(t, problemsOf(t, config))
	}
}

// The config of docs/configuration.md and the one of the container are read by
// the decoder and by the schema that editors use.
func TestExamplesAreValid(t *testing.T) {
	schema := compile(t)
	examples := map[string]string{"deploy/compose/runbook.yaml": read(t, "../../deploy/compose/runbook.yaml")}
	for i, example := range yamlBlocks(read(t, docPath)) {
		examples[fmt.Sprintf("%s#%d", docPath, i)] = example
	}
	for name, example := range examples {
		nodes, problems := document.Parse(name, []byte(example))
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(plainJSON(t, nodes[0].Value())); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, problems = parseConfig(name, []byte(example))
		if err := problems.Err(); err != nil {
			t.Error(err)
		}
	}
	for _, wrong := range []string{`{"listn": "x"}`, `{"connections": {"a": {"mongodb": {}}}}`, `{"connections": {"a": {}}}`, `{"log": {"level": "loud"}}`} {
		var v any
		if err := json.Unmarshal([]byte(wrong), &v); err != nil {
			t.Fatal(err)
		}
		if schema.Validate(v) == nil {
			t.Errorf("the schema takes %s", wrong)
		}
	}
}

func compile(t *testing.T) *validator.Schema {
	t.Helper()
	c := validator.NewCompiler()
	if err := c.AddResource("config.json", plainJSON(t, ConfigSchema())); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func plainJSON(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := validator.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func yamlBlocks(text string) (blocks []string) {
	for _, part := range strings.Split(text, "```yaml\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	return blocks
}

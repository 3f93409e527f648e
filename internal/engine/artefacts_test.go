package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/artefact"
)

func opened(t *testing.T, config string) actions.Artefacts {
	t.Helper()
	c, _, problems := LoadConfig(write(t, t.TempDir(), "runbook.yaml", config))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	e := &Engine{config: c, conns: &actions.Connections{}}
	if err := e.openArtefacts(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.artefacts.Close() })
	store, err := e.conns.Artefacts()
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestActionsGetTheStoreOfTheConfig(t *testing.T) {
	for config, want := range map[string]string{
		"":                           "/runbook-data/artefacts/run/one",
		"data_dir: here":             "/here/artefacts/run/one",
		"artefacts: {dir: captured}": "/captured/run/one",
	} {
		kept, err := opened(t, config).Put(t.Context(), "run/one", strings.NewReader("text"))
		if err != nil || !strings.HasSuffix(kept.URL, want) {
			t.Errorf("%q: it is kept as %s, %v", config, kept.URL, err)
		}
	}
	if _, bucket := opened(t, "artefacts: {s3: {bucket: captures, access_key_file: id, secret_key_file: key}}").(*artefact.Bucket); !bucket {
		t.Error("the store is no bucket")
	}
}

func TestAStoreOfArtefactsHasOneForm(t *testing.T) {
	got := problemsOf(t, "artefacts: {dir: here, s3: {bucket: captures, access_key_file: id, secret_key_file: key}}")
	if len(got) != 1 || !strings.Contains(got[0], "exclude each other") {
		t.Errorf("the problems are %q", got)
	}
	c := DefaultConfig().Artefacts
	if c.MaxSize != 1<<30 || c.MaxTotal != 20<<30 || time.Duration(c.MaxAge) != 30*24*time.Hour {
		t.Errorf("the defaults are %+v", c)
	}
}

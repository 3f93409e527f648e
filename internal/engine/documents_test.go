package engine

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// loaded waits until exactly these runbooks are in use.
func loaded(t *testing.T, e *Engine, want ...string) {
	t.Helper()
	eventually(t, "the runbooks", func() error {
		if got := e.documents.Set().Names(); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("in use are %v, want %v", got, want)
		}
		return nil
	})
}

func metric(t *testing.T, e *Engine, line string) {
	t.Helper()
	eventually(t, line, func() error {
		if _, text := get(t, e.URL()+"/metrics"); !strings.Contains(text, "\n"+line+"\n") {
			return fmt.Errorf("the metrics lack it")
		}
		return nil
	})
}

func TestReloadIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "books/a.yaml", fmt.Sprintf(pause, "a", "A"))
	e := serve(t, dir, "runbooks: [books]\n")
	loaded(t, e, "a")

	// A file that changed is noticed; with a mistake in one, none is taken.
	write(t, dir, "books/b.yaml", fmt.Sprintf(pause, "b", "B"))
	write(t, dir, "books/c.yaml", "runbook: c\nsummry: x\n")
	metric(t, e, "runbook_config_last_reload_successful 0")
	loaded(t, e, "a")
	status, text := do(t, http.MethodPost, e.URL()+"/-/reload", "")
	if status != http.StatusInternalServerError || !strings.Contains(text, "c.yaml:2:1") {
		t.Errorf("reload answered %d %s", status, text)
	}
	metric(t, e, "runbook_documents 1")

	write(t, dir, "books/c.yaml", fmt.Sprintf(pause, "c", "C"))
	loaded(t, e, "a", "b", "c")
	metric(t, e, "runbook_config_last_reload_successful 1")

	// A folder that was made later is watched too.
	write(t, dir, "books/more/d.yaml", fmt.Sprintf(pause, "d", "D"))
	loaded(t, e, "a", "b", "c", "d")
	write(t, dir, "books/more/d.yaml", fmt.Sprintf(pause, "d2", "D"))
	loaded(t, e, "a", "b", "c", "d2")
	if status, text := do(t, http.MethodPost, e.URL()+"/-/reload", ""); status != http.StatusOK || text != "4 runbooks are loaded.\n" {
		t.Errorf("reload answered %d %s", status, text)
	}
}

// Kubernetes replaces a mounted ConfigMap by one symbolic link that it turns
// round.
func TestAMountedConfigMapIsReloaded(t *testing.T) {
	dir := t.TempDir()
	mount := filepath.Join(dir, "books")
	swap := func(version, name string) {
		t.Helper()
		write(t, mount, version+"/books.yaml", fmt.Sprintf(pause, name, "A"))
		link := filepath.Join(mount, "..data_tmp")
		if err := os.Symlink(version, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	swap("..2026_01", "old")
	if err := os.Symlink("..data/books.yaml", filepath.Join(mount, "books.yaml")); err != nil {
		t.Fatal(err)
	}
	e := serve(t, dir, "runbooks: [books]\n")
	loaded(t, e, "old")
	swap("..2026_02", "new")
	loaded(t, e, "new")
}

// A checkout that is replaced as a whole is a symbolic link to a folder.
func TestALinkedFolderIsReloaded(t *testing.T) {
	dir := t.TempDir()
	swap := func(version, name string) {
		t.Helper()
		write(t, dir, version+"/books.yaml", fmt.Sprintf(pause, name, "A"))
		link := filepath.Join(dir, "next")
		if err := os.Symlink(version, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(dir, "books")); err != nil {
			t.Fatal(err)
		}
	}
	swap("one", "old")
	e := serve(t, dir, "runbooks: [books]\n")
	loaded(t, e, "old")
	swap("two", "new")
	loaded(t, e, "new")
	write(t, dir, "two/books.yaml", fmt.Sprintf(pause, "newer", "A"))
	loaded(t, e, "newer")
}

// A single file is followed through its folder, since editors replace it.
func TestASingleFileIsReloaded(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "one.yaml", fmt.Sprintf(pause, "old", "A"))
	e := serve(t, dir, "runbooks: [one.yaml]\n")
	next := write(t, dir, "next", fmt.Sprintf(pause, "new", "A"))
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	loaded(t, e, "new")
}

// A log that is written into the folder of the documents says of each reload that
// there was one: that must not be the reason of the next.
func TestWhatIsWrittenBesideTheDocumentsIsNoChange(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "one.yaml", fmt.Sprintf(pause, "old", "A"))
	e := serve(t, dir, "runbooks: [one.yaml]\n")
	loaded(t, e, "old")
	was := e.documents.Set()
	write(t, dir, "engine.log", "runbooks reloaded")
	e.documents.changed()
	if e.documents.Set() != was {
		t.Error("the documents were read again because of a log beside them")
	}
	write(t, dir, "one.yaml", "runbook: [")
	e.documents.changed()
	if !e.documents.unchanged() {
		t.Error("a broken document would be read again and again")
	}
	write(t, dir, "one.yaml", fmt.Sprintf(pause, "new", "A"))
	e.documents.changed()
	loaded(t, e, "new")
}

const guarded = `
runbook: guarded
summary: Ask for what is not there.
autonomy: auto
for: 2m
guards: {cooldown: 10m, rate: [3/h]}
steps: [{id: pause, do: wait, with: {duration: 0s}}]
verify: {do: wait, with: {duration: 0s}, until: duration >= duration("0s")}
`

const escalating = `
runbook: escalating
summary: Call people whom nobody can call.
autonomy: auto
steps: [{id: pause, do: wait, with: {duration: 0s}}]
verify: {do: wait, with: {duration: 0s}, until: duration >= duration("0s")}
otherwise: [escalate]
escalate: {summary: Help}
`

// open tries to start an engine, and gives the reason why not.
func open(t *testing.T, dir, config string, o Options) error {
	t.Helper()
	c, _, problems := LoadConfig(write(t, dir, "runbook.yaml", "listen: 127.0.0.1:0\n"+config))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	e, err := New(context.Background(), c, o)
	if err == nil {
		e.Close()
	}
	return err
}

func TestServeRefusesWhatItCanNotKeep(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "books/guarded.yaml", guarded)
	write(t, dir, "books/escalating.yaml", escalating)
	err := open(t, dir, "runbooks: [books]\n", Options{})
	if err == nil {
		t.Fatal("it serves them")
	}
	for _, want := range []string{
		"books/guarded.yaml:2:1: runbook guarded uses for, and no Alertmanager can be asked (no-alertmanager)",
		"books/escalating.yaml:2:1: runbook escalating acts by itself and escalates when that does not help, and nobody would hear it (no-escalation)",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "books/guarded.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir, "runbooks: [books]\nconnections: {am: {alertmanager: {url: 'http://127.0.0.1:1'}}}\n", Options{}); err != nil {
		t.Errorf("with somebody to call: %v", err)
	}
}

// A reload must not bring in what the start would refuse.
func TestReloadRefusesWhatServeRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "books/a.yaml", fmt.Sprintf(pause, "a", "A"))
	e := serve(t, dir, "runbooks: [books]\n")
	write(t, dir, "books/guarded.yaml", guarded)
	if err := e.Reload("test"); err == nil || !strings.Contains(err.Error(), "no-alertmanager") {
		t.Errorf("reload: %v", err)
	}
	loaded(t, e, "a")
}

func TestAStandaloneEngineTakesDocumentsAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "books/guarded.yaml", guarded)
	write(t, dir, "books/escalating.yaml", escalating)
	if err := open(t, dir, "runbooks: [books]\n", Options{Standalone: true}); err != nil {
		t.Error(err)
	}
}

func TestStartFailsWithWhatToDo(t *testing.T) {
	for config, want := range map[string]string{
		"runbooks: [nowhere]":                                                     "nowhere: no such file",
		"audit: {file: /proc/none/audit}":                                         "open audit file",
		"tls: {cert_file: none, key_file: no}":                                    "tls.cert_file",
		"auth: {tokens: [{name: a, token_file: none}]}":                           "auth: a: read secret",
		"temporal: {address: '127.0.0.1:1'}\n":                                    "prepare temporal at 127.0.0.1:1",
		"temporal: {address: '127.0.0.1:1', api_key_file: none}":                  "temporal.api_key_file: read secret",
		"temporal: {address: '127.0.0.1:1', tls: {ca_file: none}}":                "temporal.tls.ca_file",
		"temporal: {address: '127.0.0.1:1', tls: {cert_file: none, key_file: n}}": "temporal.tls.cert_file",
	} {
		if err := open(t, t.TempDir(), config, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// Two engines on one data directory would both carry out the same runs.
func TestOneEngineADataDirectory(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, "")
	if err := open(t, dir, "", Options{}); err == nil || !strings.Contains(err.Error(), "is served by process") {
		t.Errorf("the second engine: %v", err)
	}
}

package chaos_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos"
)

type blockParams struct {
	Dir string `json:"dir" doc:"Folder to block."`
}

// block is a fault on a real, if small, system: a folder that is blocked by a
// file named after the injection.
func block() chaos.Def[blockParams] {
	file := func(id chaos.ID, p blockParams) string { return filepath.Join(p.Dir, string(id)) }
	return chaos.Def[blockParams]{
		Name: "folder.block", Doc: "Block a folder.", Example: "{dir: /srv/spool}",
		Targets: func(_ context.Context, p blockParams) (chaos.Selection, error) {
			return chaos.One("folder/"+p.Dir, ""), nil
		},
		Inject: func(_ context.Context, id chaos.ID, p blockParams, _ time.Time) error {
			return os.WriteFile(file(id, p), nil, 0o600)
		},
		Recover: func(_ context.Context, id chaos.ID, p blockParams) error {
			if err := os.Remove(file(id, p)); err != nil && !os.IsNotExist(err) {
				return err
			}
			return nil
		},
		Healed: func(_ context.Context, id chaos.ID, p blockParams) error {
			if _, err := os.Stat(file(id, p)); err == nil {
				return &os.PathError{Op: "still blocked by", Path: file(id, p), Err: os.ErrExist}
			}
			return nil
		},
	}
}

func TestAFaultIsInjectedHealedAndProvedHealed(t *testing.T) {
	dir := t.TempDir()
	b, problems := chaos.Define(block()).Bind([]byte("{dir: " + dir + "}"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := b.Recover(ctx, "rb-0"); err != nil {
		t.Errorf("recovery of an injection that never happened: %v", err)
	}
	for range 2 {
		if err := b.Inject(ctx, "rb-1", time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if b.Healed(ctx, "rb-1") == nil {
		t.Error("a fault that is there counts as healed")
	}
	if err := b.Recover(ctx, "rb-1"); err != nil {
		t.Fatal(err)
	}
	if err := b.Healed(ctx, "rb-1"); err != nil {
		t.Errorf("not healed: %v", err)
	}
}

func TestParametersAreStrict(t *testing.T) {
	_, problems := chaos.Define(block()).Bind([]byte("{dirr: /srv}"))
	if len(problems) != 2 {
		t.Errorf("problems %v", problems)
	}
}

func TestHalfADeclarationIsNone(t *testing.T) {
	for need, breakIt := range map[string]func(*chaos.Def[blockParams]){
		"a name":               func(d *chaos.Def[blockParams]) { d.Name = "block" },
		"a Doc":                func(d *chaos.Def[blockParams]) { d.Doc = "Block" },
		"Targets and Inject":   func(d *chaos.Def[blockParams]) { d.Targets = nil },
		"Recover and Healed":   func(d *chaos.Def[blockParams]) { d.Healed = nil },
		"Example that decodes": func(d *chaos.Def[blockParams]) { d.Example = "{}" },
	} {
		d := block()
		breakIt(&d)
		if got := panicOf(func() { chaos.Define(d) }); !strings.Contains(got, need) {
			t.Errorf("without %s: %q", need, got)
		}
	}
}

func panicOf(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text, _ = r.(string)
		}
	}()
	f()
	return ""
}

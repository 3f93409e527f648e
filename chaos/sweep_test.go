package chaos_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
)

// folders blocks folders; each file in dir is an injection, with its deadline as
// its time of change.
func folders(dir string) chaos.Injector {
	return chaos.Injector{
		Name: "folder", Faults: []chaos.Fault{chaos.Define(block())},
		Active: func(context.Context) (found []chaos.Injection, err error) {
			files, err := os.ReadDir(dir)
			for _, f := range files {
				info, err := f.Info()
				if err != nil {
					return nil, err
				}
				id := chaos.ID(f.Name())
				found = append(found, chaos.Injection{ID: id, Fault: "folder.block", Owner: id.Owner(), Place: dir, Deadline: info.ModTime()})
			}
			return found, err
		},
		Heal: func(_ context.Context, i chaos.Injection) error { return os.Remove(filepath.Join(dir, string(i.ID))) },
	}
}

func broken() chaos.Injector {
	return chaos.Injector{
		Name:   "broken",
		Active: func(context.Context) ([]chaos.Injection, error) { return nil, errors.New("nobody answers") },
		Heal:   func(context.Context, chaos.Injection) error { return nil },
	}
}

func blocked(t *testing.T, dir string, id chaos.ID, until time.Time) {
	t.Helper()
	file := filepath.Join(dir, string(id))
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chtimes(file, until, until)); err != nil {
		t.Fatal(err)
	}
}

func TestASweepHealsWhatIsPastItsDeadlineAlsoWhenAnInjectorFails(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	blocked(t, dir, "gd-1.old", now.Add(-time.Second))
	blocked(t, dir, "gd-1.new", now.Add(time.Minute))
	c := chaos.NewCatalog(broken(), folders(dir))
	swept, err := c.Sweep(t.Context(), now, false)
	if err == nil || !strings.Contains(err.Error(), "broken: nobody answers") {
		t.Errorf("the failing injector is hidden: %v", err)
	}
	if len(swept) != 1 || swept[0].ID != "gd-1.old" || swept[0].Owner != "gd-1" || swept[0].Error != "" {
		t.Errorf("swept %+v", swept)
	}
	left, _ := c.Active(t.Context())
	if len(left) != 1 || left[0].ID != "gd-1.new" {
		t.Errorf("left %v", left)
	}
	if swept, _ := c.Sweep(t.Context(), now, true); len(swept) != 1 {
		t.Errorf("swept of all %+v", swept)
	}
	if left, _ := c.Active(t.Context()); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestASweepSaysWhatItCouldNotHeal(t *testing.T) {
	dir := t.TempDir()
	blocked(t, dir, "gd-1.old", time.Now())
	i := folders(dir)
	i.Heal = func(context.Context, chaos.Injection) error { return errors.New("it does not budge") }
	swept, err := chaos.NewCatalog(i).Sweep(t.Context(), time.Now(), true)
	if len(swept) != 1 || swept[0].Error != "it does not budge" {
		t.Errorf("swept %+v", swept)
	}
	if err == nil || !strings.Contains(err.Error(), "heal folder.block as gd-1.old") {
		t.Errorf("error %v", err)
	}
}

func bound(t *testing.T, f chaos.Fault, dir string) chaos.Bound {
	t.Helper()
	b, problems := f.Bind([]byte("{dir: " + dir + "}"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatWasHealedIsNotInjectedAgain(t *testing.T) {
	dir, soon := t.TempDir(), time.Now().Add(time.Minute)
	i := folders(dir)
	b := bound(t, i.Faults[0], dir)
	if err := b.Recover(t.Context(), "gd-1.a"); err != nil {
		t.Fatal(err)
	}
	blocked(t, dir, "gd-1.b", time.Now())
	if _, err := chaos.NewCatalog(i).Sweep(t.Context(), time.Now(), true); err != nil {
		t.Fatal(err)
	}
	for _, id := range []chaos.ID{"gd-1.a", "gd-1.b"} {
		if err := b.Inject(t.Context(), id, soon); actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(err.Error(), "healed already") {
			t.Errorf("injected after it was healed: %v", err)
		}
	}
}

func TestRecoverStopsTheInjectThatIsUnderWay(t *testing.T) {
	d := block()
	begun, stopped := make(chan struct{}), make(chan struct{})
	d.Inject = func(ctx context.Context, _ chaos.ID, _ blockParams, _ time.Time) error {
		close(begun)
		<-ctx.Done()
		close(stopped)
		return ctx.Err()
	}
	d.Recover = func(context.Context, chaos.ID, blockParams) error {
		select {
		case <-stopped:
			return nil
		default:
			return errors.New("recovered while the inject was under way")
		}
	}
	b := bound(t, chaos.Define(d), t.TempDir())
	ended := make(chan error, 1)
	go func() { ended <- b.Inject(context.Background(), "gd-1.a", time.Now().Add(time.Minute)) }()
	<-begun
	if err := b.Recover(t.Context(), "gd-1.a"); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the inject ended with %v", err)
	}
}

func TestAPastDeadlineAndABadIDAreRefused(t *testing.T) {
	dir := t.TempDir()
	b := bound(t, chaos.Define(block()), dir)
	for id, deadline := range map[chaos.ID]time.Time{
		"gd-1.a":                          time.Now().Add(-time.Second),
		"../etc":                          time.Now().Add(time.Minute),
		"GD":                              time.Now().Add(time.Minute),
		"a.b.c":                           time.Now().Add(time.Minute),
		"":                                time.Now().Add(time.Minute),
		chaos.ID(strings.Repeat("a", 47)): time.Now().Add(time.Minute),
	} {
		if err := b.Inject(t.Context(), id, deadline); actions.ClassOf(err) != actions.ClassPermanent {
			t.Errorf("%q until %s: %v", id, deadline, err)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("injected %v", files)
	}
}

func TestACatalogIsWhole(t *testing.T) {
	whole := folders(t.TempDir())
	if f, known := chaos.NewCatalog(whole).Get("folder.block"); !known || f.Name != "folder.block" {
		t.Errorf("found %v", f.Name)
	}
	stranger, blind := whole, whole
	stranger.Name = "cupboard"
	blind.Active = nil
	for need, injectors := range map[string][]chaos.Injector{
		"declared twice": {whole, whole}, "no fault of the injector": {stranger}, "needs Active and Heal": {blind},
	} {
		if got := panicOf(func() { chaos.NewCatalog(injectors...) }); !strings.Contains(got, need) {
			t.Errorf("%s: %q", need, got)
		}
	}
}

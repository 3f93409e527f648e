package artefact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

// stores are the forms of a store; each is empty, and takes 1000 bytes at most.
func stores(t *testing.T, each func(t *testing.T, s actions.Artefacts)) {
	t.Run("directory", func(t *testing.T) { each(t, directory(t, t.TempDir(), roomy)) })
	t.Run("bucket", func(t *testing.T) { each(t, bucket(t)) })
}

var roomy = Limits{MaxSize: 1000, MaxTotal: 1 << 30, MaxAge: time.Hour}

func directory(t *testing.T, dir string, limits Limits) *Directory {
	t.Helper()
	d, err := OpenDirectory(dir, limits, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

const name = "run/orders/2026-11-21T03:00:00Z/capture/service/orders/heap.pb.gz"

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

func mustPut(t *testing.T, s actions.Artefacts, name, text string) actions.Artefact {
	t.Helper()
	kept, err := s.Put(t.Context(), name, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestWhatIsPutIsFound(t *testing.T) {
	stores(t, func(t *testing.T, s actions.Artefacts) {
		if _, there, err := s.Find(t.Context(), name); there || err != nil {
			t.Fatalf("before: %v, %v", there, err)
		}
		put := mustPut(t, s, name, "profile")
		if put.Size != 7 || put.SHA256 != sum("profile") || !strings.Contains(put.URL, "/run/orders/") {
			t.Errorf("put: %+v", put)
		}
		found, there, err := s.Find(t.Context(), name)
		if found != put || !there || err != nil {
			t.Errorf("found: %+v, %v, %v", found, there, err)
		}
		content, err := s.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		if text, err := io.ReadAll(content); string(text) != "profile" || err != nil {
			t.Errorf("it reads %q, %v", text, err)
		}
		if _, err := s.Open(t.Context(), "nothing"); err == nil || !strings.Contains(err.Error(), "nothing") {
			t.Errorf("what is not there reads as %v", err)
		}
	})
}

func TestANameThatIsThereStaysAsItIs(t *testing.T) {
	stores(t, func(t *testing.T, s actions.Artefacts) {
		first := mustPut(t, s, name, "first")
		again, err := s.Put(t.Context(), name, iotest.ErrReader(errors.New("it was read")))
		if again != first || err != nil {
			t.Errorf("again: %+v, %v", again, err)
		}
	})
}

// Two that put the same name at the same time get the same answer, whole.
func TestOfTwoAtOnceOneWins(t *testing.T) {
	stores(t, func(t *testing.T, s actions.Artefacts) {
		var both [2]actions.Artefact
		var ready, done sync.WaitGroup
		ready.Add(2)
		for i, text := range []string{"one", "another"} {
			done.Go(func() {
				var err error
				content := func() io.Reader { ready.Done(); ready.Wait(); return strings.NewReader(text) }
				if both[i], err = s.Put(t.Context(), name, &late{open: content}); err != nil {
					t.Error(err)
				}
			})
		}
		done.Wait()
		if both[0] != both[1] || (both[0].SHA256 != sum("one") && both[0].SHA256 != sum("another")) {
			t.Errorf("they got %+v", both)
		}
	})
}

// late opens what it reads at the first read.
type late struct {
	open func() io.Reader
	from io.Reader
}

func (l *late) Read(p []byte) (int, error) {
	if l.from == nil {
		l.from = l.open()
	}
	return l.from.Read(p)
}

func TestWhatIsCutShortIsNotKept(t *testing.T) {
	stores(t, func(t *testing.T, s actions.Artefacts) {
		torn := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("the service went away")))
		_, err := s.Put(t.Context(), name, torn)
		if err == nil || !strings.Contains(err.Error(), "the service went away") || !strings.Contains(err.Error(), name) {
			t.Errorf("the error is %v", err)
		}
		if _, there, err := s.Find(t.Context(), name); there || err != nil {
			t.Errorf("it is there: %v, %v", there, err)
		}
		mustPut(t, s, name, "whole")
	})
}

func TestWhatIsTooLargeIsNotKept(t *testing.T) {
	stores(t, func(t *testing.T, s actions.Artefacts) {
		mustPut(t, s, "just", strings.Repeat("x", 1000))
		_, err := s.Put(t.Context(), name, bytes.NewReader(make([]byte, 1001)))
		if actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(err.Error(), "artefacts.max_size") {
			t.Errorf("the error is %v", err)
		}
		if _, there, err := s.Find(t.Context(), name); there || err != nil {
			t.Errorf("it is there: %v, %v", there, err)
		}
	})
}

func TestACancelledPutKeepsNothing(t *testing.T) {
	stores(t, func(t *testing.T, s actions.Artefacts) {
		ctx, cancel := context.WithCancel(t.Context())
		content := &late{open: func() io.Reader { cancel(); return strings.NewReader("half") }}
		if _, err := s.Put(ctx, name, content); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		if _, there, err := s.Find(t.Context(), name); there || err != nil {
			t.Errorf("it is there: %v, %v", there, err)
		}
	})
}

// Names hold what alerts say.
func TestHostileNamesStayInTheStore(t *testing.T) {
	stores(t, func(t *testing.T, s actions.Artefacts) {
		urls := map[string]string{}
		for _, name := range []string{
			"../../etc/passwd", "/etc/passwd", "a//b", "a/./b", "a/.incoming/b", ".incoming/x", ".runbook-artefacts", "", "a b", "a\x00b", "a:b",
			strings.Repeat("x", 300), strings.Repeat("x", 301), "pod/shop/ü.txt",
		} {
			kept := mustPut(t, s, name, name)
			if other, taken := urls[kept.URL]; taken {
				t.Errorf("%q and %q are both %s", name, other, kept.URL)
			}
			urls[kept.URL] = name
			if strings.Contains(kept.URL, "/../") || strings.Contains(kept.URL, "/.incoming") || kept.SHA256 != sum(name) {
				t.Errorf("%q is kept as %+v", name, kept)
			}
		}
		_, err := s.Put(t.Context(), strings.Repeat("x/", 600), strings.NewReader(""))
		if actions.ClassOf(err) != actions.ClassPermanent {
			t.Errorf("a name that is too long: %v", err)
		}
	})
}

func files(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && path != dir && e.Name() != marker && e.Name() != incoming {
			all = append(all, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestDirectoryKeepsForItselfOnly(t *testing.T) {
	dir := t.TempDir()
	kept := mustPut(t, directory(t, dir, roomy), "run/one", "text")
	path := strings.TrimPrefix(kept.URL, "file://")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", path, info, err)
	}
	if got := files(t, dir); got != "run run/one" {
		t.Errorf("it holds %s", got)
	}
}

func age(t *testing.T, path string, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

func TestOldArtefactsGo(t *testing.T) {
	dir := t.TempDir()
	d := directory(t, dir, roomy)
	mustPut(t, d, "run/old", "x")
	mustPut(t, d, "run/young", "x")
	age(t, filepath.Join(dir, "run/old"), 2*time.Hour)
	age(t, filepath.Join(dir, "run/young"), 30*time.Minute)
	mustPut(t, d, "run/new", "x")
	if got := files(t, dir); got != "run run/new run/young" {
		t.Errorf("it holds %s", got)
	}
}

func TestTheOldestGoWhenThereIsNoRoom(t *testing.T) {
	dir := t.TempDir()
	limits := roomy
	limits.MaxTotal = 25
	d := directory(t, dir, limits)
	for i, name := range []string{"a/first", "b/second", "c/third"} {
		mustPut(t, d, name, strings.Repeat("x", 10))
		if i < 2 {
			age(t, filepath.Join(dir, name), time.Duration(30-i)*time.Minute)
		}
	}
	if got := files(t, dir); got != "b b/second c c/third" {
		t.Errorf("it holds %s", got)
	}
	mustPut(t, d, "d/huge", strings.Repeat("x", 100))
	if got := files(t, dir); got != "d d/huge" {
		t.Errorf("then it holds %s, and what was just kept must stay", got)
	}
}

func TestWhatAKilledEngineLeftIsSwept(t *testing.T) {
	dir := t.TempDir()
	directory(t, dir, roomy)
	for name, by := range map[string]time.Duration{"dead": torn + time.Hour, "alive": time.Minute} {
		path := filepath.Join(dir, incoming, name)
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		age(t, path, by)
	}
	directory(t, dir, roomy)
	if got := files(t, dir); got != incoming+"/alive" {
		t.Errorf("it holds %s", got)
	}
}

// Old artefacts are removed: a directory with something else in it is refused.
func TestAForeignDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	age(t, precious, 1000*time.Hour)
	_, err := OpenDirectory(dir, roomy, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "directory of its own") {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

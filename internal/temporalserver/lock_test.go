//go:build !noembedded

package temporalserver

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestOneServerADirectory(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Options{Dir: dir})
	second, err := Start(t.Context(), Options{Dir: dir})
	if err == nil {
		second.Stop()
		t.Fatal("two servers on one directory")
	}
	if want := fmt.Sprint("process ", os.Getpid()); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %q, want ErrInUse with %q and %q", err, want, dir)
	}
	first.Stop()
	start(t, Options{Dir: dir})
}

func TestAForgottenServerKeepsItsDirectory(t *testing.T) {
	dir := t.TempDir()
	if _, err := lockDir(dir); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		runtime.GC()
	}
	if _, err := lockDir(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
}

func TestAFailedStartFreesTheDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/"+runsFile, 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := Start(t.Context(), Options{Dir: dir}); err == nil {
		s.Stop()
		t.Fatal("started on a directory in the place of the file")
	}
	if err := os.Remove(dir + "/" + runsFile); err != nil {
		t.Fatal(err)
	}
	start(t, Options{Dir: dir})
}

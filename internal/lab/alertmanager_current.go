package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/runbook-engine/runbook/internal/lab/built"
)

// currentAlertmanager is the newest release. Distributions lag years behind
// it, and what it sends differs.
const currentAlertmanager = "0.34.2"

// CurrentAlertmanager returns the path of a current Alertmanager, for
// AlertmanagerOptions.Program. It is built from the Go module proxy the first
// time, which needs the network and half a minute, and kept in the user's
// cache directory.
func CurrentAlertmanager(ctx context.Context) (string, error) {
	name := fmt.Sprintf("alertmanager-%s-%s-%s", currentAlertmanager, runtime.GOOS, runtime.GOARCH)
	dir, err := built.Once(ctx, name, buildAlertmanager)
	if err != nil {
		return "", fmt.Errorf("build Alertmanager %s: %w", currentAlertmanager, err)
	}
	return filepath.Join(dir, "alertmanager"), nil
}

// buildAlertmanager cannot just "go install": the program embeds the files of
// its user interface, which are generated for a release and not part of the
// module. So it builds a copy of the module with a page that says so.
func buildAlertmanager(ctx context.Context, dir string) (err error) {
	module, err := download(ctx, "github.com/prometheus/alertmanager@v"+currentAlertmanager)
	if err != nil {
		return err
	}
	source, err := os.MkdirTemp("", "runbook-lab-alertmanager-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(source)) }()
	if err := os.CopyFS(source, os.DirFS(module)); err != nil {
		return err
	}
	ui := filepath.Join(source, "ui", "app", "dist")
	if err := os.MkdirAll(ui, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(ui, "index.html"), []byte("Built without its user interface.\n"), 0o644); err != nil {
		return err
	}
	version := "-X github.com/prometheus/common/version.Version=" + currentAlertmanager
	_, err = built.Go(ctx, source, "build", "-ldflags", version, "-o", filepath.Join(dir, "alertmanager"), "./cmd/alertmanager")
	return err
}

// download returns the directory of a module in the module cache.
func download(ctx context.Context, module string) (string, error) {
	out, err := built.Go(ctx, os.TempDir(), "mod", "download", "-json", module)
	if err != nil {
		return "", err
	}
	var answer struct{ Dir string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return "", fmt.Errorf("read what go says about %s: %w", module, err)
	}
	return answer.Dir, nil
}

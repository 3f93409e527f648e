package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/runbook-engine/runbook/internal/lab/built"
)

// versityVersion is a release of versitygw, an S3 server over a directory.
const versityVersion = "1.8.0"

// S3Server returns the path of an S3 server, versitygw. It is built from the Go
// module proxy the first time, which needs the network and some minutes, and
// kept in the user's cache directory.
func S3Server(ctx context.Context) (string, error) {
	name := fmt.Sprintf("versitygw-%s-%s-%s", versityVersion, runtime.GOOS, runtime.GOARCH)
	dir, err := built.Once(ctx, name, buildVersity)
	if err != nil {
		return "", fmt.Errorf("build versitygw %s: %w", versityVersion, err)
	}
	return filepath.Join(dir, "versitygw"), nil
}

// buildVersity builds in an empty module, so that ours does not decide on the
// versions of its libraries, nor it on ours.
func buildVersity(ctx context.Context, dir string) (err error) {
	module, err := download(ctx, "github.com/versity/versitygw@v"+versityVersion)
	if err != nil {
		return err
	}
	source, err := os.MkdirTemp("", "runbook-lab-versitygw-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(source)) }()
	if err := os.CopyFS(source, os.DirFS(module)); err != nil {
		return err
	}
	_, err = built.Go(ctx, source, "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "versitygw"), "./cmd/versitygw")
	return err
}

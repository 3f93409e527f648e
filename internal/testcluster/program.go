package testcluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/runbook-engine/runbook/internal/lab/built"
)

// kubernetesVersion is what the API server says it is: the version that the
// module kube requires.
const kubernetesVersion = "1.36.3"

// Build returns the path of the program that is the cluster. It is built from
// the Go module proxy the first time, which takes minutes and 3 GB of Go's build
// cache, and kept in the user's cache directory until the module kube or the
// version of Go changes.
func Build(ctx context.Context) (string, error) {
	source, err := sourceDir(ctx)
	if err != nil {
		return "", fmt.Errorf("find the source of the Kubernetes test cluster: %w", err)
	}
	name, err := buildName(source)
	if err != nil {
		return "", fmt.Errorf("read the source of the Kubernetes test cluster: %w", err)
	}
	dir, err := built.Once(ctx, name, func(ctx context.Context, dir string) error {
		version := "k8s.io/component-base/version."
		major, minor, _ := strings.Cut(kubernetesVersion, ".")
		minor, _, _ = strings.Cut(minor, ".")
		_, err := built.Go(ctx, source, "build", "-o", filepath.Join(dir, "kube"), "-ldflags",
			fmt.Sprintf("-s -w -X %[1]sgitVersion=v%[2]s -X %[1]sgitMajor=%[3]s -X %[1]sgitMinor=%[4]s", version, kubernetesVersion, major, minor), ".")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("build the Kubernetes test cluster: %w", err)
	}
	return filepath.Join(dir, "kube"), nil
}

// sourceDir is that of the module kube, which is in the source tree that the
// tests run in.
func sourceDir(ctx context.Context) (string, error) {
	root, err := built.Go(ctx, "", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return "", err
	}
	return filepath.Join(string(bytes.TrimSpace(root)), "internal", "testcluster", "kube"), nil
}

// buildName changes with all that the program is made of.
func buildName(source string) (string, error) {
	entries, err := os.ReadDir(source)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(source, entry.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", entry.Name(), len(text), text)
	}
	fmt.Fprint(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return fmt.Sprintf("kubernetes-%s-%x", kubernetesVersion, sum.Sum(nil)[:8]), nil
}

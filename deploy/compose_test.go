package deploy_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/runbook-engine/runbook/internal/lab/programs"
)

// project is docker-compose.yml as "docker compose config" reads it, with the
// same library.
func project(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithConsistency(true))
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func TestComposeHasTheWholeStack(t *testing.T) {
	services := project(t).Services
	for _, name := range []string{
		"runbook", "temporal", "temporal-ui", "temporal-db", "orders-db", "orders-api", "prometheus", "alertmanager",
	} {
		if _, there := services[name]; !there {
			t.Errorf("no service %q", name)
		}
	}
}

func TestComposeMountsOnlyWhatExists(t *testing.T) {
	loaded := project(t)
	for _, service := range loaded.Services {
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				t.Errorf("%s: %v", service.Name, err)
			}
			if !volume.ReadOnly {
				t.Errorf("%s may write to %s", service.Name, volume.Source)
			}
		}
	}
}

func TestComposeScriptsExist(t *testing.T) {
	for _, service := range project(t).Services {
		for _, word := range append(service.Entrypoint, service.Command...) {
			file, ours := strings.CutPrefix(word, "/deploy/")
			if !ours {
				continue
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s runs %s: %v", service.Name, word, err)
			}
		}
	}
}

func TestComposePinsItsImages(t *testing.T) {
	for _, service := range project(t).Services {
		_, tag, _ := strings.Cut(service.Image, ":")
		if service.Build == nil && (tag == "" || tag == "latest") {
			t.Errorf("%s runs %q", service.Name, service.Image)
		}
	}
}

func TestComposeBuildsTargetsOfTheDockerfile(t *testing.T) {
	for _, service := range project(t).Services {
		if service.Build == nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join(service.Build.Context, service.Build.Dockerfile))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), " AS "+service.Build.Target+"\n") {
			t.Errorf("%s wants the stage %q", service.Name, service.Build.Target)
		}
	}
}

// TestComposeIsReachedFromThisMachineOnly: the service breaks itself on
// request, and Prometheus, Alertmanager and Temporal ask nobody who they are.
func TestComposeIsReachedFromThisMachineOnly(t *testing.T) {
	for _, service := range project(t).Services {
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s on %q", service.Name, port.Published, port.HostIP)
			}
		}
	}
}

func TestComposeHoldsNoSecret(t *testing.T) {
	for _, service := range project(t).Services {
		for name, value := range service.Environment {
			if secret := strings.Contains(name, "PASSWORD") || strings.Contains(name, "PWD") || strings.Contains(name, "TOKEN"); secret && !strings.HasSuffix(name, "_FILE") {
				t.Errorf("%s has %s=%s", service.Name, name, *value)
			}
		}
	}
}

func TestAmtoolAcceptsTheConfig(t *testing.T) {
	accepts(t, programs.Amtool, "check-config", "compose/alertmanager.yml")
}

func TestPromtoolAcceptsTheConfig(t *testing.T) {
	accepts(t, programs.Promtool, "check", "config", "--syntax-only", "compose/prometheus.yml")
}

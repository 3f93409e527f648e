package lab

import (
	"fmt"
	"os"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/common/model"
)

// settings is a part of a configuration file.
type settings map[string]any

func writeYAML(path string, content settings) error {
	text, err := yaml.Marshal(content)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o600)
}

// duration is d as Prometheus and Alertmanager read it, which know no "1.5s".
func duration(d time.Duration) string { return model.Duration(d).String() }

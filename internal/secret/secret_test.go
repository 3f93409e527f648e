package secret_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/secret"
)

type config struct {
	Token secret.File `json:"token_file" doc:"Token."`
}

func TestASecretIsBesideItsDocument(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("  s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"token", filepath.Join(dir, "token")} {
		nodes, _ := document.Parse(filepath.Join(dir, "config.yaml"), []byte("token_file: "+path))
		var c config
		if problems := document.Decode(nodes[0], &c); len(problems) > 0 {
			t.Fatal(problems.Err())
		}
		if text, err := c.Token.Read(); err != nil || text != "s3cret" {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
}

func TestWhatIsNoSecret(t *testing.T) {
	for _, text := range []string{"token_file: 12", "token_file: ''", "token_file: [a]"} {
		nodes, _ := document.Parse("config.yaml", []byte(text))
		var c config
		if problems := document.Decode(nodes[0], &c); len(problems) == 0 {
			t.Errorf("%s: accepted", text)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []secret.File{secret.File(empty), secret.File(empty + "-missing")} {
		if _, err := file.Read(); err == nil || !strings.Contains(err.Error(), string(file)) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

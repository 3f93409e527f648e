package artefact

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/secret"
)

const (
	accessKey = "canary-access-0815"
	secretKey = "canary-secret-4711"
)

// server is one S3 server for all tests of the package; each has its own bucket.
var server struct {
	once     sync.Once
	endpoint string
	err      error
	stop     func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.stop != nil {
		server.stop()
	}
	os.Exit(code)
}

func s3Server(t *testing.T) string {
	t.Helper()
	server.once.Do(func() { server.err = startServer() })
	if server.err != nil {
		t.Fatal(server.err)
	}
	return server.endpoint
}

func startServer() error {
	path, err := lab.S3Server(context.Background())
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "runbook-s3-")
	if err != nil {
		return err
	}
	for _, part := range []string{"data", "attributes"} {
		if err := os.Mkdir(filepath.Join(dir, part), 0o700); err != nil {
			return err
		}
	}
	s, err := child.RunOnFreePorts(context.Background(), 1, func(ports []int) child.Program {
		server.endpoint = "http://" + child.Address(ports[0])
		return child.Program{
			Name: "versitygw", Path: path, Dir: dir, Log: filepath.Join(dir, "log"), Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
			Args: []string{"--access", accessKey, "--secret", secretKey, "--port", child.Address(ports[0]), "--health", "/health",
				"posix", "--sidecar", filepath.Join(dir, "attributes"), filepath.Join(dir, "data")},
			Ready: func(ctx context.Context) error { return healthy(ctx, server.endpoint+"/health") },
		}
	})
	if err != nil {
		return err
	}
	server.stop = func() { _ = s.Kill(); _ = os.RemoveAll(dir) }
	return nil
}

func healthy(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return nil
}

func secretFile(t *testing.T, text string) secret.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return secret.File(path)
}

func bucketConfig(t *testing.T, endpoint string) BucketConfig {
	t.Helper()
	return BucketConfig{
		Endpoint: endpoint, Bucket: strings.ToLower(rand.Text()), Region: "us-east-1", Prefix: "prod/runbook/",
		AccessKeyFile: secretFile(t, accessKey), SecretKeyFile: secretFile(t, secretKey),
	}
}

func bucket(t *testing.T) *Bucket {
	t.Helper()
	c := bucketConfig(t, s3Server(t))
	b := OpenBucket(c, roomy.MaxSize)
	if _, err := b.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &c.Bucket}); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheBucketHasItUnderThePrefix(t *testing.T) {
	b := bucket(t)
	kept := mustPut(t, b, "run/one", "text")
	if want := "s3://" + b.config.Bucket + "/prod/runbook/run/one"; kept.URL != want {
		t.Errorf("it is %s, want %s", kept.URL, want)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "runbook-artefact-*")); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

// Keys can be renewed in place: both files, as a new key has a new id.
func TestKeysAreReadForEachRequest(t *testing.T) {
	b := bucket(t)
	mustPut(t, b, "run/one", "text")
	for _, file := range []secret.File{b.config.AccessKeyFile, b.config.SecretKeyFile} {
		if err := os.WriteFile(string(file), []byte("canary-wrong"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.Put(t.Context(), "run/two", strings.NewReader("text"))
	refused(t, err, actions.ClassPermanent, "run/two", b.config.Bucket)
	if err := os.Remove(string(b.config.SecretKeyFile)); err != nil {
		t.Fatal(err)
	}
	_, err = b.Put(t.Context(), "run/two", strings.NewReader("text"))
	refused(t, err, actions.ClassPermanent, string(b.config.SecretKeyFile))
}

func refused(t *testing.T, err error, class actions.Class, says ...string) {
	t.Helper()
	if err == nil || actions.ClassOf(err) != class {
		t.Fatalf("the error is %v, want one that is %s", err, class)
	}
	for _, want := range says {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret shows: %v", err)
	}
}

func TestAMissingBucketIsSaid(t *testing.T) {
	c := bucketConfig(t, s3Server(t))
	c.Bucket = "nowhere"
	_, err := OpenBucket(c, 1000).Put(t.Context(), "run/one", strings.NewReader("text"))
	refused(t, err, actions.ClassPermanent, "nowhere")
}

func TestAServerThatIsAwayMayComeBack(t *testing.T) {
	address, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = OpenBucket(bucketConfig(t, "http://"+address), 1000).Put(t.Context(), "run/one", strings.NewReader("text"))
	refused(t, err, actions.ClassTransient, "run/one")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to say so", took)
	}
}

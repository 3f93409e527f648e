package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/runbook-engine/runbook/internal/secret"
	"github.com/runbook-engine/runbook/internal/temporalcluster"
	"github.com/runbook-engine/runbook/internal/temporalserver"
	"github.com/runbook-engine/runbook/workflows"
)

// dialWithin bounds the first contact with a cluster.
const dialWithin = 30 * time.Second

// embeddedName is the folder of the embedded server in the data directory.
const embeddedName = "temporal"

// dialTemporal connects to the configured cluster, or starts a server of our
// own. The function stops the latter.
func dialTemporal(ctx context.Context, c Config, handler client.MetricsHandler, log *slog.Logger) (client.Client, func(), error) {
	if c.Temporal.Address == "" {
		return dialEmbedded(ctx, c, handler, log)
	}
	connected, err := dialCluster(ctx, c, handler, log)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare temporal at %s: %w", c.Temporal.Address, err)
	}
	return connected, func() {}, nil
}

func dialEmbedded(ctx context.Context, c Config, handler client.MetricsHandler, log *slog.Logger) (client.Client, func(), error) {
	server, err := temporalserver.Start(ctx, temporalserver.Options{
		Dir: filepath.Join(string(c.DataDir), embeddedName), Namespace: c.Temporal.Namespace, Retention: c.retention(),
		SearchAttributes: workflows.SearchAttributes(), Log: log,
	})
	if err != nil {
		return nil, nil, err
	}
	options := server.ClientOptions()
	options.Logger, options.MetricsHandler = sdkLogger(log), handler
	connected, err := client.DialContext(ctx, options)
	if err != nil {
		server.Stop()
		return nil, nil, fmt.Errorf("connect to the embedded temporal server: %w", err)
	}
	return connected, server.Stop, nil
}

func dialCluster(ctx context.Context, c Config, handler client.MetricsHandler, log *slog.Logger) (client.Client, error) {
	options, err := c.Temporal.clientOptions()
	if err != nil {
		return nil, err
	}
	options.Logger, options.MetricsHandler = sdkLogger(log), handler
	dialing, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	connected, err := client.DialContext(dialing, options)
	if err != nil {
		return nil, fmt.Errorf("%w; check temporal.address, temporal.tls and that the cluster runs, or leave temporal.address out to embed a server", err)
	}
	if err := temporalcluster.Ensure(ctx, connected, c.Temporal.Namespace, c.retention(), workflows.SearchAttributes()); err != nil {
		connected.Close()
		return nil, err
	}
	return connected, nil
}

func sdkLogger(log *slog.Logger) sdklog.Logger {
	return sdklog.NewStructuredLogger(log.With("component", "temporal-sdk"))
}

func (t Temporal) clientOptions() (client.Options, error) {
	options := client.Options{HostPort: t.Address, Namespace: t.Namespace}
	if t.APIKeyFile != "" {
		if _, err := t.APIKeyFile.Read(); err != nil {
			return options, fmt.Errorf("temporal.api_key_file: %w", err)
		}
		options.Credentials = client.NewAPIKeyDynamicCredentials(func(context.Context) (string, error) { return t.APIKeyFile.Read() })
		options.ConnectionOptions.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if t.TLS == nil {
		return options, nil
	}
	config, err := t.TLS.config()
	options.ConnectionOptions.TLS = config
	return options, err
}

func (t TemporalTLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		authorities, err := readAuthorities(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("temporal.tls.ca_file: %w", err)
		}
		config.RootCAs = authorities
	}
	if t.CertFile == "" {
		return config, nil
	}
	if _, err := tls.LoadX509KeyPair(string(t.CertFile), string(t.KeyFile)); err != nil {
		return nil, fmt.Errorf("temporal.tls.cert_file: %w", err)
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(string(t.CertFile), string(t.KeyFile))
		return &pair, err
	}
	return config, nil
}

func readAuthorities(file secret.File) (*x509.CertPool, error) {
	pem, err := os.ReadFile(string(file))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}

// askTemporal goes the whole way, to the shard that has a run: that the frontend
// accepts connections does not mean that a run can be made durable.
func askTemporal(ctx context.Context, c client.Client) error {
	_, err := c.DescribeWorkflowExecution(ctx, "readiness-probe", "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil
	}
	return err
}

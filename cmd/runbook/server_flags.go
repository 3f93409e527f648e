package main

import (
	"cmp"
	"net/http"
	"strings"

	promconfig "github.com/prometheus/common/config"
	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/secret"
)

// credentials are what a server asks of who comes, and what it is known by.
type credentials struct{ tokenFile, caFile, certFile, keyFile string }

// credentialFlags have their names in the environment too: --ca-file is
// RUNBOOK_CA_FILE.
var credentialFlags = []string{"token-file", "ca-file", "cert-file", "key-file"}

func (c *credentials) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.tokenFile, "token-file", "", "`FILE` with the bearer token; RUNBOOK_TOKEN_FILE or RUNBOOK_TOKEN unless set")
	cmd.Flags().StringVar(&c.caFile, "ca-file", "", "`FILE` with the authorities that the server's certificate is of, PEM; RUNBOOK_CA_FILE, else the system's")
	cmd.Flags().StringVar(&c.certFile, "cert-file", "", "`FILE` with your own certificate, PEM; RUNBOOK_CERT_FILE unless set")
	cmd.Flags().StringVar(&c.keyFile, "key-file", "", "`FILE` with the key of your certificate; RUNBOOK_KEY_FILE unless set")
}

func (c *credentials) token(p *program) (string, error) {
	if file := cmp.Or(c.tokenFile, p.env("RUNBOOK_TOKEN_FILE")); file != "" {
		return secret.File(file).Read()
	}
	return p.env("RUNBOOK_TOKEN"), nil
}

// transport is the usual one where nothing is said of certificates.
func (c *credentials) transport(p *program, url string) (http.RoundTripper, error) {
	files := promconfig.TLSConfig{
		CAFile:   cmp.Or(c.caFile, p.env("RUNBOOK_CA_FILE")),
		CertFile: cmp.Or(c.certFile, p.env("RUNBOOK_CERT_FILE")),
		KeyFile:  cmp.Or(c.keyFile, p.env("RUNBOOK_KEY_FILE")),
	}
	given, secure := c.caFile+c.certFile+c.keyFile != "", strings.HasPrefix(url, "https:")
	switch {
	case given && !secure:
		return nil, usage("certificates are for a server at https://, not for %s", url)
	case !secure || files == promconfig.TLSConfig{}:
		return http.DefaultTransport, nil
	case (files.CertFile == "") != (files.KeyFile == ""):
		return nil, usage("--cert-file and --key-file belong together")
	}
	config, err := promconfig.NewTLSConfig(&files)
	if err != nil {
		return nil, &failure{exitUsage, err}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	return transport, nil
}

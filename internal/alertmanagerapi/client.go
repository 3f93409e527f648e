// Package alertmanagerapi talks to the API of Alertmanager 0.25 and later,
// through the client that is generated from Alertmanager's own description.
package alertmanagerapi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"time"

	"github.com/go-openapi/runtime"
	httptransport "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client"

	"github.com/runbook-engine/runbook/internal/secret"
)

// Config says where an Alertmanager is and how to log in there.
type Config struct {
	URL             string      `json:"url" doc:"Address of one Alertmanager, with the path prefix that it serves under. Not that of a load balancer before several: they share silences, but not alerts." example:"http://127.0.0.1:9093"`
	BearerTokenFile secret.File `json:"bearer_token_file" optional:"true" doc:"File with a bearer token. It is read again for each request."`
	Username        string      `json:"username" optional:"true" doc:"User name for basic authentication."`
	PasswordFile    secret.File `json:"password_file" optional:"true" doc:"File with the password for basic authentication. It is read again for each request."`
	CAFile          secret.File `json:"ca_file" optional:"true" doc:"File with the certificates of the authorities to trust, instead of the system's."`
}

// requestTimeout bounds one request; the caller's context may end it earlier.
const requestTimeout = 30 * time.Second

// Client reads and changes the alerts and silences of one Alertmanager. It is
// for concurrent use.
type Client struct {
	url  string
	api  *client.AlertmanagerAPI
	http *http.Client
}

// Open checks the config. It sends nothing: an Alertmanager that is down now
// may be up when it is needed.
func Open(config Config) (*Client, error) {
	server, err := parseURL(config.URL)
	if err != nil {
		return nil, err
	}
	login, err := config.login()
	if err != nil {
		return nil, err
	}
	httpClient, err := newHTTPClient(config.CAFile)
	if err != nil {
		return nil, err
	}
	transport := httptransport.NewWithClient(server.Host, path.Join("/", server.Path, client.DefaultBasePath), []string{server.Scheme}, httpClient)
	transport.DefaultAuthentication = login
	// The variable DEBUG of the environment would print the Authorization header.
	transport.Debug = false
	return &Client{url: server.String(), api: client.New(transport, strfmt.Default), http: httpClient}, nil
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func parseURL(text string) (*url.URL, error) {
	server, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("the url of an Alertmanager must be like http://127.0.0.1:9093/prefix")
	case server.User != nil:
		return nil, errors.New("the url of an Alertmanager must not hold a password; use username and password_file")
	case server.Scheme != "http" && server.Scheme != "https", server.Host == "":
		return nil, fmt.Errorf("the url of an Alertmanager must be like http://127.0.0.1:9093/prefix, not %q", text)
	case server.RawQuery != "", server.Fragment != "":
		return nil, fmt.Errorf("the url of an Alertmanager must end with its path; %q goes on", text)
	}
	return server, nil
}

// login reads the secrets at each request, because tokens are renewed in place.
func (c Config) login() (runtime.ClientAuthInfoWriter, error) {
	switch {
	case c.BearerTokenFile != "" && (c.Username != "" || c.PasswordFile != ""):
		return nil, errors.New("use either bearer_token_file or username with password_file")
	case (c.Username == "") != (c.PasswordFile == ""):
		return nil, errors.New("username and password_file go together")
	case c.BearerTokenFile != "":
		return authorize(c.BearerTokenFile, httptransport.BearerToken), nil
	case c.Username != "":
		return authorize(c.PasswordFile, func(password string) runtime.ClientAuthInfoWriter {
			return httptransport.BasicAuth(c.Username, password)
		}), nil
	}
	return nil, nil
}

func authorize(file secret.File, with func(secret string) runtime.ClientAuthInfoWriter) runtime.ClientAuthInfoWriter {
	return runtime.ClientAuthInfoWriterFunc(func(request runtime.ClientRequest, formats strfmt.Registry) error {
		value, err := file.Read()
		if err != nil {
			return err
		}
		return with(value).AuthenticateRequest(request, formats)
	})
}

// newHTTPClient follows no redirect: a login page is not an Alertmanager, and a
// POST that is sent elsewhere is not ours to send.
func newHTTPClient(ca secret.File) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if ca != "" {
		authorities, err := readAuthorities(string(ca))
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: authorities}
	}
	return &http.Client{
		Transport:     observed{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func readAuthorities(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file: %s holds no certificate in PEM form", path)
	}
	return pool, nil
}

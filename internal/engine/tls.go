package engine

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
)

// config is that of the engine's own port, or nil without TLS. Its files are
// read for each handshake, so that they can be renewed in place; while they can
// not be read, or do not fit together yet, the last good ones serve.
func (t TLS) config(log *slog.Logger) (*tls.Config, error) {
	if t.CertFile == "" {
		return nil, nil
	}
	good, err := t.read()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	outer := good.Clone()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		fresh, err := t.read()
		if err != nil {
			log.Error("the renewed certificate can not be used; the last good one serves", "error", err)
			return good, nil
		}
		good = fresh
		return good, nil
	}
	return outer, nil
}

func (t TLS) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(string(t.CertFile), string(t.KeyFile))
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file: %w", err)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"},
	}
	if t.ClientCAFile == "" {
		return config, nil
	}
	authorities, err := readAuthorities(t.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("tls.client_ca_file: %w", err)
	}
	// Not required here: probes of health have none. The authenticator asks for it.
	config.ClientCAs, config.ClientAuth = authorities, tls.VerifyClientCertIfGiven
	return config, nil
}

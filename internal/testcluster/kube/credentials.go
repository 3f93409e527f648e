package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// writeCredentials keeps those that are there: a cluster that is started again
// knows the tokens that it gave out.
func (c cluster) writeCredentials() error {
	if _, err := os.Stat(c.file("tokens.csv")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(c.file("accounts.key"), block, 0o600); err != nil {
		return err
	}
	token := rand.Text()
	if err := os.WriteFile(c.file("token"), []byte(token), 0o600); err != nil {
		return err
	}
	return os.WriteFile(c.file("tokens.csv"), fmt.Appendf(nil, "%s,admin,admin,system:masters\n", token), 0o600)
}

// writeKubeconfig is for the API server's certificate, which it makes itself.
func (c cluster) writeKubeconfig(path string) error {
	token, err := os.ReadFile(c.file("token"))
	if err != nil {
		return err
	}
	return os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: admin}}]
clusters: [{name: test, cluster: {server: 'https://127.0.0.1:%d', certificate-authority: '%s'}}]
users: [{name: admin, user: {token: %s}}]
`, c.apiPort, c.file("apiserver.crt"), token), 0o600)
}

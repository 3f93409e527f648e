//go:build !noembedded

package temporalserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"time"

	"go.temporal.io/server/common/rpc/encryption"
)

// identity is one key pair that exists in the memory of this process only. The server's ports present it and ask for it,
// so that nobody else on the host gets in: whoever may start a workflow here acts with the credentials of the engine.
type identity struct {
	certificate tls.Certificate
	pool        *x509.CertPool
}

var _ encryption.TLSConfigProvider = (*identity)(nil)

func newIdentity() (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		IPAddresses:  []net.IP{net.ParseIP(loopback)},
		// It ends with the process. A clock that is set right while the engine runs must not end it sooner.
		NotBefore:             time.Unix(0, 0),
		NotAfter:              time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &identity{
		certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
		pool:        pool,
	}, nil
}

func (i *identity) server() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{i.certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    i.pool,
	}
}

func (i *identity) client() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{i.certificate},
		RootCAs:      i.pool,
		ServerName:   loopback,
	}
}

func (i *identity) GetInternodeServerConfig() (*tls.Config, error) { return i.server(), nil }
func (i *identity) GetInternodeClientConfig() (*tls.Config, error) { return i.client(), nil }
func (i *identity) GetFrontendServerConfig() (*tls.Config, error)  { return i.server(), nil }
func (i *identity) GetFrontendClientConfig() (*tls.Config, error)  { return i.client(), nil }

func (i *identity) GetRemoteClusterClientConfig(string) (*tls.Config, error) { return i.client(), nil }

func (i *identity) GetExpiringCerts(time.Duration) (expiring, expired encryption.CertExpirationMap, err error) {
	return nil, nil, nil
}

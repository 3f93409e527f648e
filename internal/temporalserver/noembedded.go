//go:build noembedded

package temporalserver

import (
	"context"
	"errors"

	"go.temporal.io/sdk/client"
)

// Server is never made by a program that was built without the embedded server.
type Server struct{}

// Start only says how to do without.
func Start(context.Context, Options) (*Server, error) {
	return nil, errors.New("this program was built without the embedded temporal server (build tag noembedded): " +
		"set temporal.address to the host:port of a Temporal cluster")
}

// Address is empty.
func (*Server) Address() string { return "" }

// ClientOptions are those of no server.
func (*Server) ClientOptions() client.Options { return client.Options{} }

// Stop does nothing.
func (*Server) Stop() {}

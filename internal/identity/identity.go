// Package identity says who is asking: it checks the credentials of HTTP
// requests, as Alertmanager's http_config and browsers can send them, and keeps
// other websites away from an engine that asks for none.
package identity

import "context"

// Local is who asks where no authentication is configured.
const Local = "local"

// Identity is who sent a request.
type Identity struct {
	// Name is that of the token, the user, or the client certificate; Local
	// without authentication.
	Name string
}

type contextKey struct{}

// FromContext is who sent the request that the context belongs to. Its name is
// empty outside the authenticator's middleware.
func FromContext(ctx context.Context) Identity {
	who, _ := ctx.Value(contextKey{}).(Identity)
	return who
}

// NewContext adds who sent the request.
func NewContext(ctx context.Context, who Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, who)
}

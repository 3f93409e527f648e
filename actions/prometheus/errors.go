package prometheus

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/runbook-engine/runbook/actions"
)

// shown is the error without the URL of the request, which may hold the whole
// query.
func shown(err error) error {
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

// classify marks what a retry does not mend.
func classify(err error) error {
	var (
		answer   *v1.Error
		tooLarge *http.MaxBytesError
		untrust  *tls.CertificateVerificationError
		noFile   *fs.PathError
	)
	switch {
	case errors.As(err, &answer):
		if permanent(answer) {
			return actions.Permanent(err)
		}
	case errors.As(err, &tooLarge), errors.As(err, &untrust), errors.As(err, &noFile):
		return actions.Permanent(err)
	}
	return err
}

func permanent(e *v1.Error) bool {
	switch e.Type {
	case v1.ErrBadData, v1.ErrExec, v1.ErrBadResponse:
		return true
	case v1.ErrClient:
		return !strings.HasSuffix(e.Msg, " 408") && !strings.HasSuffix(e.Msg, " 429")
	default:
		return false
	}
}

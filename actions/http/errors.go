package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
)

// classify says what a failed exchange means for a retry, and leaves out the
// URL, which may hold a token.
func (e exchange) classify(ctx context.Context, err error, sent bool) error {
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		err = outer.Err
	}
	if late := tooLate(0); errors.As(context.Cause(ctx), &late) {
		err = late
	}
	var (
		untrusted *tls.CertificateVerificationError
		file      *fs.PathError
	)
	switch {
	case errors.Is(err, errRedirect), errors.As(err, &untrusted), errors.As(err, &file):
		return actions.Permanent(err)
	case sent && !e.repeatable:
		return actions.Ambiguous(fmt.Errorf("%w; the request was sent and may have had its effect", err))
	}
	return err
}

// tooLate is the end of the time that a step gives its request.
type tooLate time.Duration

func (t tooLate) Error() string { return fmt.Sprintf("no answer within %s", time.Duration(t)) }

func (t tooLate) Is(target error) bool { return target == context.DeadlineExceeded }

// unexpected is the error of an answer with the wrong status.
func (e exchange) unexpected(r result, where string) error {
	err := fmt.Errorf("%s %s: answered %d %s, not %s%s", e.method, where, r.Status, http.StatusText(r.Status), e.wants, excerpt(r.Body))
	switch {
	case r.Status == http.StatusRequestTimeout, r.Status == http.StatusTooManyRequests:
		return err
	case r.Status == http.StatusNotImplemented, r.Status < http.StatusInternalServerError:
		return actions.Permanent(err)
	case !e.repeatable:
		return actions.Ambiguous(err)
	}
	return err
}

// excerpt is how a body begins, on one line.
func excerpt(body string) string {
	words := strings.FieldsFunc(body, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	if len(words) == 0 {
		return ""
	}
	return ": " + document.Shorten(strings.Join(words, " "), 200)
}

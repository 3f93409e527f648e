package failover

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// witness is the address of somebody who watches the primary.
type witness string

// name leaves out what may be secret.
func (w witness) name() string {
	u, err := url.Parse(string(w))
	if err != nil {
		return "witness"
	}
	return "witness/" + u.Host + u.Path
}

// witnesses never follow a redirect: what another address says is not theirs.
var witnesses = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (w witness) ask(ctx context.Context, within time.Duration) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, string(w), nil)
	if err != nil {
		return 0, err
	}
	answer, err := witnesses.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.CopyN(io.Discard, answer.Body, 64<<10)
	if err != nil && err != io.EOF {
		return 0, err
	}
	return answer.StatusCode, nil
}

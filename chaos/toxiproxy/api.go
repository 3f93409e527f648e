package toxiproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// api is the REST API of a toxiproxy. The client in its own module takes no
// context, which each call here needs: calls that change a proxy can hang for
// ever while data is in flight.
type api struct {
	base   string
	client *http.Client
}

// proxyState is a proxy as the API shows it.
type proxyState struct {
	Listen   string  `json:"listen"`
	Upstream string  `json:"upstream"`
	Enabled  bool    `json:"enabled"`
	Toxics   []toxic `json:"toxics"`
}

const (
	callTimeout = 2 * time.Second
	maxAnswer   = 1 << 20
)

var errNotThere = errors.New("it is not there")

func (a api) show(ctx context.Context, proxy string) (s proxyState, err error) {
	return s, a.call(ctx, http.MethodGet, "/proxies/"+url.PathEscape(proxy), nil, &s)
}

func (a api) add(ctx context.Context, proxy string, t toxic) error {
	return a.call(ctx, http.MethodPost, "/proxies/"+url.PathEscape(proxy)+"/toxics", t, nil)
}

// remove tolerates a toxic that is not there.
func (a api) remove(ctx context.Context, proxy, name string) error {
	err := a.call(ctx, http.MethodDelete, "/proxies/"+url.PathEscape(proxy)+"/toxics/"+url.PathEscape(name), nil, nil)
	if errors.Is(err, errNotThere) {
		return nil
	}
	return err
}

// enable starts or stops a proxy, and changes nothing else of it.
func (a api) enable(ctx context.Context, proxy string, now proxyState, enabled bool) error {
	now.Enabled, now.Toxics = enabled, nil
	return a.call(ctx, http.MethodPost, "/proxies/"+url.PathEscape(proxy), now, nil)
}

func (a api) call(ctx context.Context, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, sent)
	if err != nil {
		return err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return err
	case response.StatusCode == http.StatusNotFound:
		return errNotThere
	case response.StatusCode >= 300:
		return fmt.Errorf("%s answered %s: %s", path, response.Status, strings.TrimSpace(string(text)))
	case answer == nil:
		return nil
	}
	return json.Unmarshal(text, answer)
}

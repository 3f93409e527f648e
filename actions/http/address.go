package http

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var whole = regexp.MustCompile(`(?i)^https?://`)

// errURL does not show the URL, nor why it does not parse: it may hold a
// password.
var errURL = errors.New("url is no http or https URL, such as https://shop.example/health")

// parse reads a whole URL.
func parse(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || !whole.MatchString(raw) || u.Hostname() == "":
		return nil, errURL
	case u.User != nil:
		return nil, errors.New("url must not hold a user or a password; use a connection with username and password_file")
	}
	return u, nil
}

// resolve is the URL that a step means: a whole one, or a path below the base
// of its connection.
func (c *client) resolve(raw string) (*url.URL, error) {
	if whole.MatchString(raw) {
		u, err := parse(raw)
		if err == nil && c.base != nil && origin(u) != origin(c.base) {
			return nil, fmt.Errorf("url is at %s, but connection %q is for %s", origin(u), c.name, origin(c.base))
		}
		return u, err
	}
	u, err := url.Parse(raw)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(raw, "/") {
		return nil, fmt.Errorf("url is neither whole, such as https://shop.example/health, nor a path below connection %q that starts with /", c.name)
	}
	if slices.Contains(strings.Split(u.Path, "/"), "..") {
		return nil, fmt.Errorf("the path of url has a .. in it, which could leave that of connection %q", c.name)
	}
	below := *c.base
	below.Path, below.RawPath = strings.TrimSuffix(c.base.Path, "/")+u.Path, ""
	if u.RawPath != "" {
		below.RawPath = strings.TrimSuffix(c.base.EscapedPath(), "/") + u.RawPath
	}
	below.RawQuery = u.RawQuery
	return &below, nil
}

var defaultPort = map[string]string{"http": "80", "https": "443"}

// origin is what credentials are bound to: scheme, host and port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = defaultPort[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// place names a URL to people: without its query, which may hold a token, and
// below a connection without the connection's own part.
func place(connection, raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return connection + "/…"
	case connection == "" && u.Host != "":
		return u.Scheme + "://" + u.Host + u.Path
	}
	return connection + u.Path
}

package http_test

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
)

// hop redirects /there and /slashes to another place, and /here to itself.
func hop(t *testing.T, to string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/there":
			http.Redirect(w, r, to+"/arrived", http.StatusTemporaryRedirect)
		case "/slashes":
			w.Header().Set("Location", strings.TrimPrefix(to, "http:")+"/arrived")
			w.WriteHeader(http.StatusTemporaryRedirect)
		case "/here":
			http.Redirect(w, r, "/arrived", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// listener keeps what it is told.
func listener(t *testing.T) (url string, told *[]string) {
	t.Helper()
	told = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var all strings.Builder
		_ = r.Header.Write(&all)
		*told = append(*told, r.Host+"\n"+all.String()+string(body))
	}))
	t.Cleanup(server.Close)
	return server.URL, told
}

func TestRedirectToAnotherHostIsRefused(t *testing.T) {
	other, told := listener(t)
	server := hop(t, other)
	for _, action := range []string{"http.get", "http.request"} {
		_, err := run(t, action, "", "{url: '"+server.URL+"/there'}")
		fails(t, err, actions.ClassPermanent, "redirects to another host, "+other)
	}
	if len(*told) > 0 {
		t.Errorf("the other host heard %q", *told)
	}
}

func TestRedirectToTheSameHostIsFollowed(t *testing.T) {
	server := hop(t, "")
	if _, err := run(t, "http.get", "", "{url: '"+server.URL+"/here', expect_status: [200]}"); err != nil {
		t.Error(err)
	}
	_, err := run(t, "http.get", "", "{url: '"+server.URL+"/loop'}")
	fails(t, err, actions.ClassPermanent, "more than 10 redirects")
}

func TestRedirectCarriesNothingToAnotherHost(t *testing.T) {
	other, told := listener(t)
	server := hop(t, other)
	file := secretFile(t, token)
	for credentials, params := range map[string]string{
		"bearer_token_file: " + file:              "headers: {X-Own: " + token + ", Authorization: " + token + ", host: " + token + "}",
		"username: me, password_file: " + file:    "headers: {Cookie: " + token + ", Accept: text/plain}",
		"header_files: {X-Api-Key: " + file + "}": "headers: {Proxy-Authorization: " + token + "}",
	} {
		connections := "s: {http: {url: '" + server.URL + "', " + credentials + "}}"
		for path, action := range map[string]string{"/there": "http.get", "/slashes": "http.request"} {
			if _, err := run(t, action, connections, "{url: '"+path+"?t="+token+"', connection: s, follow_other_hosts: true, "+params+"}"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(*told) != 6 {
		t.Errorf("the other host heard %d requests", len(*told))
	}
	for _, heard := range *told {
		if strings.Contains(heard, token) {
			t.Errorf("the other host heard a secret:\n%s", heard)
		}
	}
}

func TestCredentialsReachTheirOwnHost(t *testing.T) {
	url, told := listener(t)
	file := secretFile(t, token)
	for credentials, want := range map[string]string{
		"bearer_token_file: " + file:              "Authorization: Bearer " + token,
		"username: me, password_file: " + file:    "Authorization: Basic bWU6Y2FuYXJ5LTUxYmQwMg==",
		"header_files: {X-Api-Key: " + file + "}": "X-Api-Key: " + token,
	} {
		for _, path := range []string{"/p", url + "/p"} {
			if _, err := run(t, "http.get", "s: {http: {url: '"+url+"', "+credentials+"}}", "{url: '"+path+"', connection: s}"); err != nil {
				t.Fatal(err)
			}
			if heard := (*told)[len(*told)-1]; !strings.Contains(heard, want) {
				t.Errorf("heard\n%s, want %s", heard, want)
			}
		}
	}
}

func TestUrlStaysWithinItsConnection(t *testing.T) {
	url, told := listener(t)
	connections := "s: {http: {url: '" + url + "/api'}}"
	for _, bad := range []string{
		"http://127.0.0.1:1/x", "https" + strings.TrimPrefix(url, "http"), "//other/x", "x", "/../admin", "/a/%2e%2e/b", "javascript:1",
	} {
		_, err := run(t, "http.get", connections, "{url: '"+bad+"', connection: s}")
		fails(t, err, actions.ClassPermanent, "url")
	}
	if len(*told) > 0 {
		t.Errorf("it was asked: %q", *told)
	}
}

func TestConnectionRefusesAMistakeWithoutShowingIt(t *testing.T) {
	file := secretFile(t, token)
	for config, says := range map[string]string{
		"url: 'http://user:" + token + "@h'":              "must not hold a user or a password",
		"url: 'http://h?token=" + token + "'":             "must not have a query",
		"url: 'http://'":                                  "no http or https URL",
		"url: 'http://h', username: me":                   "belong together",
		"url: 'http://h', header_files: {A: /nowhere/at}": "/nowhere/at",
		"url: 'http://h', ca_file: " + file:               "CA",
		"url: 'http://h', username: me, password_file: " + file + ", bearer_token_file: " + file: "exclude each other",
	} {
		_, err := run(t, "http.get", "s: {http: {"+config+"}}", "{url: /, connection: s}")
		fails(t, err, actions.ClassPermanent, says)
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestTLSAndHTTP2(t *testing.T) {
	var protocol string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocol = r.Proto }))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := secretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	if _, err := run(t, "http.get", "s: {http: {url: '"+server.URL+"', ca_file: "+ca+"}}", "{url: /, connection: s}"); err != nil || protocol != "HTTP/2.0" {
		t.Errorf("spoke %q, %v", protocol, err)
	}
	_, err := run(t, "http.get", "", "{url: '"+server.URL+"'}")
	fails(t, err, actions.ClassPermanent, "certificate")
}

package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// answers is a readiness check: a GET that is answered with success.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := request(ctx, http.MethodGet, url, nil)
		return err
	}
}

// excerptBytes is how much of a bad answer an error shows.
const excerptBytes = 2000

// request returns the body of an answer of the 200s; others are errors.
func request(ctx context.Context, method, url string, body io.Reader) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", method, url, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, url, response.Status, bytes.TrimSpace(text[:min(len(text), excerptBytes)]))
	}
	return text, nil
}

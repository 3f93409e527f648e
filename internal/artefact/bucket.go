package artefact

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
)

// BucketConfig says how a bucket is reached.
type BucketConfig struct {
	Endpoint      string      `json:"endpoint,omitempty" optional:"true" pattern:"^https?://[^/]+" doc:"URL of the S3 server; that of AWS in the region without it."`
	Bucket        string      `json:"bucket" min:"3" max:"63" doc:"The bucket. It must exist; how long artefacts stay is for its lifecycle rules."`
	Region        string      `json:"region" default:"us-east-1" min:"1" max:"50" doc:"The region."`
	AccessKeyFile secret.File `json:"access_key_file" doc:"File with the id of the access key; read for each request."`
	SecretKeyFile secret.File `json:"secret_key_file" doc:"File with the secret of the access key; read for each request. The key needs s3:GetObject and s3:PutObject, and s3:ListBucket to tell what is missing from what is forbidden."`
	Prefix        string      `json:"prefix,omitempty" optional:"true" pattern:"^[A-Za-z0-9._=/-]{1,100}$" doc:"What all names in the bucket begin with."`
}

// Bucket is a store in a bucket of an S3 server. Its retention is for the
// lifecycle rules of the bucket.
type Bucket struct {
	config  BucketConfig
	client  *s3.Client
	maxSize int64
}

// OpenBucket makes the client; the server is asked at first use.
func OpenBucket(c BucketConfig, maxSize int64) *Bucket {
	options := s3.Options{
		Region:      c.Region,
		Credentials: aws.CredentialsProviderFunc(c.credentials),
		Retryer:     aws.NopRetryer{}, // the engine repeats
		// What else a server is asked to check, not all of them know.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	}
	if c.Endpoint != "" {
		options.BaseEndpoint, options.UsePathStyle = &c.Endpoint, true
	}
	return &Bucket{c, s3.New(options), maxSize}
}

// Close is there for what has to be closed; a client of S3 has not.
func (b *Bucket) Close() error { return nil }

func (c BucketConfig) credentials(context.Context) (aws.Credentials, error) {
	id, err := c.AccessKeyFile.Read()
	if err != nil {
		return aws.Credentials{}, actions.Permanent(err)
	}
	key, err := c.SecretKeyFile.Read()
	if err != nil {
		return aws.Credentials{}, actions.Permanent(err)
	}
	return aws.Credentials{AccessKeyID: id, SecretAccessKey: key}, nil
}

// Put implements actions.Artefacts. It writes the content to a temporary file
// first: size and checksum are sent ahead, so that the server takes all or
// nothing.
func (b *Bucket) Put(ctx context.Context, name string, content io.Reader) (actions.Artefact, error) {
	kept, there, err := b.Find(ctx, name)
	if err != nil || there {
		return kept, err
	}
	if kept, err = b.put(ctx, name, content); err != nil {
		err = fmt.Errorf("keep the artefact %s in s3 bucket %s: %w", name, b.config.Bucket, classified(err))
	}
	return kept, err
}

func (b *Bucket) put(ctx context.Context, name string, content io.Reader) (kept actions.Artefact, err error) {
	at, err := b.place(name)
	if err != nil {
		return kept, err
	}
	spool, err := os.CreateTemp("", "runbook-artefact-")
	if err != nil {
		return kept, err
	}
	defer func() { err = errors.Join(err, spool.Close(), os.Remove(spool.Name())) }()
	in := newIntake(ctx, content, b.maxSize)
	if _, err := io.Copy(spool, in); err != nil {
		return kept, err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return kept, err
	}
	kept = in.artefact(b.url(at))
	if err := b.send(ctx, at, kept, spool); status(err) == http.StatusPreconditionFailed {
		kept, _, err = b.find(ctx, at) // somebody else was first
		return kept, err
	} else if err != nil {
		return actions.Artefact{}, err
	}
	return kept, nil
}

func (b *Bucket) send(ctx context.Context, at string, a actions.Artefact, content io.Reader) error {
	sum, err := hex.DecodeString(a.SHA256)
	if err != nil {
		return err
	}
	_, err = b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.config.Bucket, Key: &at, Body: content, ContentLength: &a.Size,
		IfNoneMatch:    aws.String("*"),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum)),
		Metadata:       map[string]string{sumKey: a.SHA256},
	})
	return err
}

// sumKey is the metadata that keeps the checksum.
const sumKey = "sha256"

// Find implements actions.Artefacts.
func (b *Bucket) Find(ctx context.Context, name string) (actions.Artefact, bool, error) {
	at, err := b.place(name)
	if err != nil {
		return actions.Artefact{}, false, err
	}
	kept, there, err := b.find(ctx, at)
	if err != nil {
		err = fmt.Errorf("look for the artefact %s in s3 bucket %s: %w", name, b.config.Bucket, classified(err))
	}
	return kept, there, err
}

func (b *Bucket) find(ctx context.Context, at string) (actions.Artefact, bool, error) {
	head, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.config.Bucket, Key: &at})
	if status(err) == http.StatusNotFound {
		return actions.Artefact{}, false, nil
	}
	if err != nil {
		return actions.Artefact{}, false, err
	}
	return actions.Artefact{URL: b.url(at), Size: aws.ToInt64(head.ContentLength), SHA256: head.Metadata[sumKey]}, true, nil
}

// Open implements actions.Artefacts.
func (b *Bucket) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	at, err := b.place(name)
	if err != nil {
		return nil, err
	}
	found, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.config.Bucket, Key: &at})
	if err != nil {
		return nil, fmt.Errorf("read the artefact %s of s3 bucket %s: %w", name, b.config.Bucket, classified(err))
	}
	return found.Body, nil
}

func (b *Bucket) place(name string) (string, error) {
	at, err := place(name)
	if prefix := strings.Trim(b.config.Prefix, "/"); prefix != "" {
		at = prefix + "/" + at
	}
	return at, err
}

func (b *Bucket) url(at string) string { return "s3://" + b.config.Bucket + "/" + at }

// status is what the server answered; 0 when it did not.
func status(err error) int {
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) {
		return 0
	}
	return answer.HTTPStatusCode()
}

// classified: what a server refuses, it refuses again, unless it is busy.
func classified(err error) error {
	switch code := status(err); {
	case code == http.StatusConflict || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout:
		return err
	case code >= 300 && code < 500:
		return actions.Permanent(err)
	}
	return err
}

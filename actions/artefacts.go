package actions

import (
	"context"
	"errors"
	"io"
)

// Artefact is a capture that was kept: a profile, a heap dump, a listing.
type Artefact struct {
	URL    string `json:"url" doc:"Where it is: file:///… or s3://bucket/…"`
	Size   int64  `json:"size" doc:"Its size in bytes."`
	SHA256 string `json:"sha256" doc:"Checksum of its content, hexadecimal."`
}

// Artefacts keeps captures. Package internal/artefact has the ones there are.
type Artefacts interface {
	// Put keeps what content gives, under a name of parts between slashes. What
	// was cut short is never kept. A name that is there already stays as it is,
	// and is the answer; content is not read then.
	Put(ctx context.Context, name string, content io.Reader) (Artefact, error)
	// Find is what Put kept under a name; false when there is none.
	Find(ctx context.Context, name string) (Artefact, bool, error)
	// Open reads what Put kept; the caller closes it.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// ArtefactName is the name of a capture of one effect: the same on each retry,
// so that a retry finds what an earlier attempt has kept.
func (k Key) ArtefactName(file string) string { return string(k) + "/" + file }

// KeepArtefacts says where captures go. It is called before the connections are
// used.
func (c *Connections) KeepArtefacts(in Artefacts) { c.artefacts = in }

// Artefacts is where captures go.
func (c *Connections) Artefacts() (Artefacts, error) {
	if c == nil || c.artefacts == nil {
		return nil, Permanent(errors.New("no store of artefacts is configured; add artefacts to the engine's config"))
	}
	return c.artefacts, nil
}

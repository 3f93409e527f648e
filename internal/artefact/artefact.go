// Package artefact keeps what actions capture before they disturb it: profiles,
// dumps, listings. A store is a directory or a bucket of an S3 server. What was
// cut short never looks whole in it, and a name that is there already is never
// written again, so that a retry of an action changes nothing.
package artefact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/runbook-engine/runbook/actions"
)

const (
	longestPart = 100
	longestName = 900 // S3 takes 1024 bytes, with the prefix
)

var odd = regexp.MustCompile(`[^A-Za-z0-9._@=+-]`)

// place is the path of a name in a store. Names hold what alerts say: each part
// becomes a harmless one, and where that loses something, a checksum of the name
// keeps two names apart.
func place(name string) (string, error) {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = harmless(part)
	}
	placed := strings.Join(parts, "/")
	if placed != name {
		sum := sha256.Sum256([]byte(name))
		ending := path.Ext(placed)
		placed = strings.TrimSuffix(placed, ending) + "-" + hex.EncodeToString(sum[:6]) + ending
	}
	if len(placed) > longestName {
		return "", actions.Permanent(fmt.Errorf("the name of the artefact has %d characters; %d is the most", len(placed), longestName))
	}
	return placed, nil
}

// harmless is a part of a path that neither leaves its directory nor is hidden.
func harmless(part string) string {
	part = odd.ReplaceAllString(part, "_")
	if strings.HasPrefix(part, ".") || part == "" {
		part = "_" + part
	}
	if len(part) > longestPart {
		part = part[:longestPart]
	}
	return part
}

// intake reads content, up to a size and while its context lasts, and sums it up.
type intake struct {
	ctx  context.Context
	from io.Reader
	max  int64
	read int64
	sum  hash.Hash
}

func newIntake(ctx context.Context, from io.Reader, max int64) *intake {
	return &intake{ctx: ctx, from: from, max: max, sum: sha256.New()}
}

func (in *intake) Read(p []byte) (int, error) {
	if err := in.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := in.from.Read(p)
	in.read += int64(n)
	in.sum.Write(p[:n])
	if in.read > in.max {
		return n, actions.Permanent(fmt.Errorf("it is larger than %d bytes; raise artefacts.max_size if such a capture is to be kept", in.max))
	}
	return n, err
}

func (in *intake) artefact(url string) actions.Artefact {
	return actions.Artefact{URL: url, Size: in.read, SHA256: hex.EncodeToString(in.sum.Sum(nil))}
}

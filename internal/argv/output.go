package argv

import (
	"bytes"
	"strings"
)

const maxOutput = 64 << 10

// Output keeps the beginning of what a command prints, 64 KiB. It takes the rest
// too, so that the command does not stop on a full pipe.
type Output struct {
	kept bytes.Buffer
	more bool
}

// Write takes all of p, and never fails.
func (o *Output) Write(p []byte) (int, error) {
	room := maxOutput - o.kept.Len()
	o.more = o.more || len(p) > room
	o.kept.Write(p[:min(len(p), room)])
	return len(p), nil
}

// Text is what was kept, as valid UTF-8.
func (o *Output) Text() string { return strings.ToValidUTF8(o.kept.String(), "\uFFFD") }

// Truncated reports whether there was more.
func (o *Output) Truncated() bool { return o.more }

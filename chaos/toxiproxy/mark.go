package toxiproxy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/chaos"
)

// mark is what the names of our toxics tell: whoever reads them knows what is
// ours, and until when.
type mark struct {
	fault    string
	deadline time.Time
	id       chaos.ID
}

const prefix = "rb:"

func (m mark) name(stream string) string {
	return fmt.Sprintf("%s%s:%s:%s:%s", prefix, m.fault, strconv.FormatInt(m.deadline.UnixMilli(), 36), m.id, stream)
}

// readMark reports whether a toxic is ours.
func readMark(name string) (mark, bool) {
	rest, ours := strings.CutPrefix(name, prefix)
	parts := strings.Split(rest, ":")
	if !ours || len(parts) != 4 {
		return mark{}, false
	}
	millis, err := strconv.ParseInt(parts[1], 36, 64)
	return mark{parts[0], time.UnixMilli(millis), chaos.ID(parts[2])}, err == nil
}

// toxic is one as the API has it. All that we use have whole numbers as their
// attributes.
type toxic struct {
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Stream     string           `json:"stream"`
	Toxicity   float64          `json:"toxicity"`
	Attributes map[string]int64 `json:"attributes"`
}

const (
	upstream   = "upstream"
	downstream = "downstream"
	bothWays   = "both"
)

// disturbance is what a fault does to a proxy.
type disturbance struct {
	toxics []toxic
	down   bool
	// wrong says why the parameters do not go together.
	wrong error
}

// one is a disturbance of one kind, in one direction or both.
func one(kind, stream string, toxicity float64, attributes map[string]int64) (d disturbance) {
	for _, way := range []string{upstream, downstream} {
		if stream == way || stream == bothWays {
			d.toxics = append(d.toxics, toxic{Type: kind, Stream: way, Toxicity: toxicity, Attributes: attributes})
		}
	}
	return d
}

package postgres

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/chaos"
)

// mark is what the application_name of our sessions tells: whoever reads it
// knows what is ours, and until when. It has no more than 63 characters.
type mark struct {
	fault    string
	deadline time.Time
	id       chaos.ID
}

const prefix = "rb:"

// letters stand for the faults: an application_name is short.
var letters = map[string]string{"c": "hold_connections", "l": "hold_lock"}

func (m mark) application() string {
	for letter, fault := range letters {
		if fault == m.fault {
			return fmt.Sprintf("%s%s:%s:%s", prefix, letter, strconv.FormatInt(m.deadline.UnixMilli(), 36), m.id)
		}
	}
	panic("postgres: no letter for " + m.fault)
}

func readMark(application string) (mark, bool) {
	rest, ours := strings.CutPrefix(application, prefix)
	parts := strings.Split(rest, ":")
	if !ours || len(parts) != 3 {
		return mark{}, false
	}
	fault, known := letters[parts[0]]
	millis, err := strconv.ParseInt(parts[1], 36, 64)
	return mark{fault, time.UnixMilli(millis), chaos.ID(parts[2])}, known && err == nil
}

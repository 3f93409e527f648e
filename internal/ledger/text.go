package ledger

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
)

// MarshalJSON writes the whole state.
func (l *Ledger) MarshalJSON() ([]byte, error) { return json.Marshal(&l.state) }

// UnmarshalJSON reads it.
func (l *Ledger) UnmarshalJSON(raw []byte) error {
	l.state = state{}
	if err := json.Unmarshal(raw, &l.state); err != nil {
		return fmt.Errorf("read the state of the ledger: %w", err)
	}
	l.reindex()
	return nil
}

// groupText is a group as it is written: what its runs have in common once.
type groupText struct {
	Alert string      `json:"alert"`
	Kinds []Admit     `json:"kinds"`
	Runs  []entryText `json:"runs"`
}

type entryText struct {
	Run      string `json:"r"`
	Workflow string `json:"w,omitempty"`
	Kind     int    `json:"k,omitempty"`
	Resource string `json:"o,omitempty"`
	Seq      int64  `json:"q"`
	Since    int64  `json:"s"`
	Due      int64  `json:"d,omitempty"`
}

// MarshalJSON writes what runs have in common once.
func (g *group) MarshalJSON() ([]byte, error) {
	text, known := groupText{Alert: g.Alert}, map[string]int{}
	for _, e := range g.Entries {
		kind := e.Admit
		kind.Run, kind.Workflow, kind.Resource, kind.Alert = "", "", "", ""
		key, err := json.Marshal(kind)
		if err != nil {
			return nil, err
		}
		k, ok := known[string(key)]
		if !ok {
			k = len(text.Kinds)
			known[string(key)] = k
			text.Kinds = append(text.Kinds, kind)
		}
		due := e.Due
		if due > 0 {
			due -= e.Since
		}
		text.Runs = append(text.Runs, entryText{e.Run, e.Workflow, k, e.Resource, e.Seq, e.Since, due})
	}
	return json.Marshal(text)
}

// UnmarshalJSON reads a group.
func (g *group) UnmarshalJSON(raw []byte) error {
	var text groupText
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	*g = group{Alert: text.Alert}
	for _, r := range text.Runs {
		if r.Kind < 0 || r.Kind >= len(text.Kinds) {
			return fmt.Errorf("run %s is of kind %d, and there are %d", r.Run, r.Kind, len(text.Kinds))
		}
		e := &entry{Admit: text.Kinds[r.Kind], Seq: r.Seq, Since: r.Since, Due: r.Due}
		if e.Due > 0 {
			e.Due += e.Since
		}
		e.Run, e.Workflow, e.Resource, e.Alert = r.Run, r.Workflow, r.Resource, text.Alert
		e.class = e.Admit.class()
		g.Entries = append(g.Entries, e)
	}
	return nil
}

// Pack is the state in few bytes: Temporal carries two megabytes at a time.
func (l *Ledger) Pack() ([]byte, error) {
	raw, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("write the state of the ledger: %w", err)
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(raw); err != nil {
		return nil, fmt.Errorf("compress the state of the ledger: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress the state of the ledger: %w", err)
	}
	return out.Bytes(), nil
}

// Unpack is the reverse of Pack.
func Unpack(packed []byte) (*Ledger, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("open the state of the ledger: %w", err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("open the state of the ledger: %w", err)
	}
	l := &Ledger{}
	if err := json.Unmarshal(raw, l); err != nil {
		return nil, err
	}
	return l, nil
}

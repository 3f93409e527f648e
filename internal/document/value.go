package document

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"
)

func fromMap(m map[string]any) *Node {
	n := &Node{Kind: Map}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		n.Entries = append(n.Entries, Entry{Key: key, Value: FromValue(m[key])})
	}
	return n
}

// fromOther takes the values that conditions produce besides JSON's own.
func fromOther(v any) *Node {
	switch v := v.(type) {
	case time.Duration:
		return FromValue(model.Duration(v).String())
	case time.Time:
		return FromValue(v.Format(time.RFC3339Nano))
	}
	b, err := json.Marshal(v)
	if err != nil {
		return FromValue(fmt.Sprint(v))
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return FromValue(fmt.Sprint(v))
	}
	return FromValue(plain)
}

package runbooks

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Alert is one alert of Alertmanager.
type Alert struct {
	Status       string            `json:"status"` // firing or resolved
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	StartsAt     time.Time         `json:"starts_at"`
	EndsAt       time.Time         `json:"ends_at,omitzero"`
	Fingerprint  string            `json:"fingerprint"`
	GeneratorURL string            `json:"generator_url,omitempty"`
	Receiver     string            `json:"receiver,omitempty"`
	ExternalURL  string            `json:"external_url,omitempty"`
	// RouteLabels are set by the team's own route, not by whoever raised the alert.
	RouteLabels map[string]string `json:"route_labels,omitempty"`
}

// Name is the label alertname.
func (a *Alert) Name() string { return a.Labels["alertname"] }

// Resolved reports that the alert no longer fires.
func (a *Alert) Resolved() bool { return a.Status == "resolved" }

// Episode identifies one firing of one alert: the same in every delivery, from
// every peer, whatever the route.
func (a *Alert) Episode() string {
	return a.Fingerprint + "-" + strconv.FormatInt(a.StartsAt.UnixNano(), 36)
}

// find is the value of alert.labels.NAME or alert.annotations.NAME.
func (a *Alert) find(from string) (string, bool) {
	from = strings.TrimPrefix(from, "alert.")
	if name, ok := strings.CutPrefix(from, "labels."); ok {
		value, there := a.Labels[name]
		return value, there
	}
	value, there := a.Annotations[strings.TrimPrefix(from, "annotations.")]
	return value, there
}

const (
	maxValue = 4 << 10
	maxPairs = 200
)

// Bounded is the alert with values cut to a size that a history can hold. What
// was cut says so.
func (a Alert) Bounded() Alert {
	a.Labels = boundedPairs(a.Labels)
	a.Annotations = boundedPairs(a.Annotations)
	a.RouteLabels = boundedPairs(a.RouteLabels)
	a.GeneratorURL = bounded(a.GeneratorURL)
	a.ExternalURL = bounded(a.ExternalURL)
	a.Receiver = bounded(a.Receiver)
	return a
}

// Cut reports that its labels may not be those that it had.
func (a Alert) Cut() bool {
	for name, value := range a.Labels {
		if len(name) > maxValue || len(value) > maxValue {
			return true
		}
	}
	return len(a.Labels) >= maxPairs
}

func boundedPairs(pairs map[string]string) map[string]string {
	if pairs == nil {
		return nil
	}
	out := make(map[string]string, min(len(pairs), maxPairs))
	for _, name := range sortedKeys(pairs) {
		if len(out) == maxPairs {
			break
		}
		out[bounded(name)] = bounded(pairs[name])
	}
	return out
}

func bounded(s string) string {
	if len(s) <= maxValue {
		return s
	}
	cut := maxValue
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + fmt.Sprintf("… (%d bytes more)", len(s)-cut)
}

// OwnLabel and OwnValue mark the alerts that the engine raises itself. They
// never start a run: an engine that answers its own alarms would not stop.
const (
	OwnLabel = "raised_by"
	OwnValue = "runbook"
)

// Own reports that the engine raised the alert.
func (a *Alert) Own() bool { return a.Labels[OwnLabel] == OwnValue }

package chaos

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// Limits is what the faults of a game day may touch, and for how long. What is
// not allowed is refused: no limits allow one target outside Kubernetes.
type Limits struct {
	Namespaces  []string       `json:"namespaces,omitempty" optional:"true" doc:"Namespaces that faults may touch, by name. Without it, none."`
	MaxTargets  MaxTargets     `json:"max_targets" default:"{}" doc:"Most things that one fault may touch."`
	Protected   []string       `json:"protected,omitempty" optional:"true" doc:"Matchers of labels, in Alertmanager's syntax. What one of them matches is never touched." example:"tier=\"payments\""`
	MaxDuration model.Duration `json:"max_duration" default:"10m" min:"1s" max:"1h" doc:"Longest that one fault may last."`
}

// MaxTargets bounds the targets of one fault.
type MaxTargets struct {
	Count   int `json:"count,omitempty" optional:"true" min:"1" doc:"At most this many; one when neither count nor percent is given."`
	Percent int `json:"percent,omitempty" optional:"true" min:"1" max:"100" doc:"At most this part of all of them."`
}

const (
	// LongestDuration is the longest that any fault may last.
	LongestDuration = time.Hour
	// DefaultMaxDuration is the longest without a word of the document.
	DefaultMaxDuration = 10 * time.Minute
	// ProtectedLabel with the value "true" keeps a thing from every fault.
	ProtectedLabel = "runbook/protected"
)

// untouchable namespaces keep a cluster alive, and the injector itself.
var untouchable = []string{"kube-system", "kube-public", "kube-node-lease", "chaos-mesh"}

// Check gives everything that speaks against injecting into these targets for
// this long, or nil.
func (l Limits) Check(s Selection, duration time.Duration) error {
	problems := []error{l.checkDuration(duration), l.checkCount(s)}
	matchers, err := l.protected()
	problems = append(problems, err)
	for _, t := range s.Targets {
		problems = append(problems, l.checkNamespace(t), checkProtected(t, matchers))
	}
	return errors.Join(problems...)
}

func (l Limits) checkDuration(d time.Duration) error {
	most := min(time.Duration(l.MaxDuration), LongestDuration)
	if most <= 0 {
		most = DefaultMaxDuration
	}
	if d < 0 {
		return fmt.Errorf("a fault can not last %s", d)
	}
	if d > most {
		return fmt.Errorf("a fault of %s is longer than the limit of %s", model.Duration(d), model.Duration(most))
	}
	return nil
}

// orOne is one where nothing is said.
func (m MaxTargets) orOne() MaxTargets {
	if m.Count == 0 && m.Percent == 0 {
		m.Count = 1
	}
	return m
}

// String is the limit in words: 3 and 34 %.
func (m MaxTargets) String() string {
	m = m.orOne()
	var parts []string
	if m.Count > 0 {
		parts = append(parts, fmt.Sprint(m.Count))
	}
	if m.Percent > 0 {
		parts = append(parts, fmt.Sprintf("%d %%", m.Percent))
	}
	return strings.Join(parts, " and ")
}

func (l Limits) checkCount(s Selection) error {
	n, most := len(s.Targets), l.MaxTargets.orOne()
	switch {
	case n == 0:
		return errors.New("the fault selects nothing")
	case most.Count > 0 && n > most.Count:
		return fmt.Errorf("%d targets are more than the limit of %d", n, most.Count)
	case most.Percent > 0 && s.Population < n:
		return fmt.Errorf("nobody knows how many there are, so that %d targets can not be held against the limit of %d %%", n, most.Percent)
	case most.Percent > 0 && n*100 > most.Percent*s.Population:
		return fmt.Errorf("%d of %d targets are more than the limit of %d %%", n, s.Population, most.Percent)
	}
	return nil
}

func (l Limits) checkNamespace(t Target) error {
	switch {
	case t.Namespace == "":
		return nil
	case slices.Contains(untouchable, t.Namespace):
		return fmt.Errorf("%s: no fault touches the namespace %s", t.ID, t.Namespace)
	case !slices.Contains(l.Namespaces, t.Namespace):
		return fmt.Errorf("%s: the namespace %s is not among those allowed", t.ID, t.Namespace)
	}
	return nil
}

func (l Limits) protected() (all labels.Matchers, err error) {
	for _, text := range l.Protected {
		m, mistake := parse.Matcher(text)
		if mistake != nil {
			err = errors.Join(err, fmt.Errorf("protected: %w", mistake))
			continue
		}
		all = append(all, m)
	}
	return all, err
}

func checkProtected(t Target, matchers labels.Matchers) error {
	if t.Labels[ProtectedLabel] == "true" {
		return fmt.Errorf("%s is protected by its label %s", t.ID, ProtectedLabel)
	}
	for _, m := range matchers {
		if m.Matches(t.Labels[m.Name]) {
			return fmt.Errorf("%s is protected by %s", t.ID, m)
		}
	}
	return nil
}

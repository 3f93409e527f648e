package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/actions"
)

// notes are what our last changes of an object were, as an annotation of the
// object holds them: mark=note, the newest first. There are several, so that a
// late retry is recognised also when another run has changed the object since.
type notes []note

// note is one of them. The mark is a digest of the key, because a key may hold
// what an alert said. The text has no white space.
type note struct{ mark, text string }

const maxNotes = 10

// MarkOf is the digest of a key.
func MarkOf(key actions.Key) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

func parseNotes(text string) (all notes) {
	for _, field := range strings.Fields(text) {
		if mark, text, ours := strings.Cut(field, "="); ours {
			all = append(all, note{mark, text})
		}
	}
	return all
}

func (n notes) String() string {
	fields := make([]string, len(n))
	for i, one := range n {
		fields[i] = one.mark + "=" + one.text
	}
	return strings.Join(fields, " ")
}

func (n notes) of(key actions.Key) (text string, found bool) {
	mark := MarkOf(key)
	for _, one := range n {
		if one.mark == mark {
			return one.text, true
		}
	}
	return "", false
}

func (n notes) with(key actions.Key, text string) notes {
	all := append(notes{{MarkOf(key), text}}, n...)
	return all[:min(len(all), maxNotes)]
}

func (n notes) without(key actions.Key) (left notes) {
	mark := MarkOf(key)
	for _, one := range n {
		if one.mark != mark {
			left = append(left, one)
		}
	}
	return left
}

// Noted are the notes that an object has under an annotation, the newest first.
func Noted(o *unstructured.Unstructured, annotation string) (texts []string) {
	for _, one := range parseNotes(o.GetAnnotations()[annotation]) {
		texts = append(texts, one.text)
	}
	return texts
}

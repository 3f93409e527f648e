package chaos

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// ID names one injection. The caller chooses it before the call, so that a lost
// answer loses no fault; NewID makes one. It is short and plain enough to stand
// in the name of a Kubernetes object or of a database session.
type ID string

const (
	maxOwner = 30
	maxPart  = 15
	digest   = 6
)

var (
	idForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`)
	foul   = regexp.MustCompile(`[^a-z0-9]+`)
)

// NewID names the injection of one fault of one game day. It is the same for the
// same arguments, and another for others.
func NewID(gameDay, fault string) ID {
	return ID(Owner(gameDay) + "." + short(fault, maxPart))
}

// Owner is how the ids of the injections of one game day begin.
func Owner(gameDay string) string { return short(gameDay, maxOwner) }

// Owner is that of the game day that the injection belongs to.
func (id ID) Owner() string {
	owner, _, _ := strings.Cut(string(id), ".")
	return owner
}

// short keeps a plain name as it is; what has to be changed or cut gets a digest
// of the whole.
func short(name string, most int) string {
	plain := strings.Trim(foul.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if plain == name && plain != "" && len(plain) <= most {
		return plain
	}
	sum := sha256.Sum256([]byte(name))
	plain = strings.TrimRight(plain[:min(len(plain), most-digest-1)], "-")
	return strings.TrimLeft(plain+"-"+hex.EncodeToString(sum[:])[:digest], "-")
}

func (id ID) check() error {
	if len(id) > maxOwner+1+maxPart || !idForm.MatchString(string(id)) {
		return fmt.Errorf("%q is no id of an injection: at most %d of a-z, 0-9 and -, with one dot", string(id), maxOwner+1+maxPart)
	}
	return nil
}

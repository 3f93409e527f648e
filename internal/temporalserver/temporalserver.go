// Package temporalserver runs a Temporal server inside the process, with its state in one directory.
//
// It is the only package that knows go.temporal.io/server. With the build tag noembedded the server is left out and
// [Start] only explains how to use a cluster instead.
//
// # What survives
//
// The state is two SQLite files in write-ahead-log mode: temporal.db (the runs) with synchronous=full, and visibility.db
// (the index that lists and searches them) with synchronous=normal. A commit of a run is in the log and flushed to the
// disk before the server acknowledges anything that depends on it.
//
//   - kill -9, a panic, out of memory: nothing acknowledged is lost. Open workflows go on when a server is started on
//     the same directory again.
//   - a power cut or a crash of the kernel: nothing acknowledged is lost, on a disk that keeps what it has reported as
//     flushed. synchronous=normal would be faster and would lose the last transactions here, which means running an
//     action a second time; it is not offered. The index may lose its last entries: a run that began or ended in the
//     last moments is there by its id, and may be missing in a list, or be listed as under way.
//   - in both cases a step that was under way is not known to have finished. Temporal runs it again after its timeout;
//     that the second run changes nothing is the business of the step (its idempotency key).
//
// To copy the state, stop the server and copy the whole directory: the logs (-wal) belong to the files.
//
// # Who can reach it
//
// Four gRPC ports on 127.0.0.1 and nothing else: no membership, metrics, profiling or HTTP port. All of them ask for a
// certificate that only this process has, so that another account on the host cannot start a workflow that acts with the
// credentials of the engine. [Server.ClientOptions] has it.
package temporalserver

import (
	"errors"
	"log/slog"
	"regexp"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/runbook-engine/runbook/internal/temporalcluster"
)

const (
	// DefaultNamespace is the namespace of an Options that names none.
	DefaultNamespace = "default"
	// DefaultRetention is how long a closed run stays readable when Options does not say.
	DefaultRetention = temporalcluster.DefaultRetention
	// minRetention is what the server itself insists on when a namespace is changed later.
	minRetention = time.Hour
)

// ErrInUse is wrapped by the error of Start when another server has the directory open.
var ErrInUse = errors.New("data directory is in use")

// Options say where the state is and what has to exist once the server has started.
type Options struct {
	// Dir holds the state and the lock of the process that uses it. It is created with mode 0700, its
	// parents included.
	Dir string
	// Namespace is created when it is missing. Empty means DefaultNamespace.
	Namespace string
	// Retention is how long closed runs stay readable. Zero means DefaultRetention; less than an hour is refused.
	// An existing namespace keeps a longer one.
	Retention time.Duration
	// SearchAttributes are registered on the namespace. One that exists with another type is an error, and so is one of
	// type Text or KeywordList: the full-text tables behind them are not kept.
	SearchAttributes map[string]enumspb.IndexedValueType
	// Log receives the server's own warnings and errors. Nil discards them.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Namespace == "" {
		o.Namespace = DefaultNamespace
	}
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

var namespaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{1,99}$`)

func (o Options) validate() error {
	switch {
	case o.Dir == "":
		return errors.New("the embedded temporal server needs a data directory; set data_dir")
	case !namespaceName.MatchString(o.Namespace):
		return errors.New("namespace " + o.Namespace + ": want 2 to 100 of A-Z a-z 0-9 _ . -, the first a letter or a digit")
	case o.Retention < minRetention:
		return errors.New("retention " + o.Retention.String() + " of namespace " + o.Namespace + " is too short: the least is " + minRetention.String())
	}
	for name, kind := range o.SearchAttributes {
		if kind == enumspb.INDEXED_VALUE_TYPE_TEXT || kind == enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST {
			return errors.New("search attribute " + name + ": the embedded temporal server keeps none of type " + kind.String() + "; use Keyword")
		}
	}
	return nil
}

package failover

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

// What a vantage point sees of a primary.
const (
	alive   = "alive"
	dead    = "dead"
	unknown = "unknown"
)

// vantage is one place from which the primary is looked at. Each sees for
// itself; none is told what the others see.
type vantage struct {
	name string
	look func(ctx context.Context) (sight, error)
}

type sight struct {
	Name   string         `json:"name" doc:"The vantage point: engine, standby/CONNECTION, or the address of a witness without its query."`
	Sees   string         `json:"sees" doc:"alive, dead, or unknown, which counts for neither."`
	Silent model.Duration `json:"silent" doc:"For how long there has been no sign of life, as seen from there."`
	Says   string         `json:"says" doc:"How it knows."`
}

// silence is the time without a sign of life that was watched.
type silence struct{ since time.Time }

// lasts adds a look in vain that began at a time.
func (s *silence) lasts(began time.Time) time.Duration {
	if s.since.IsZero() {
		s.since = began
	}
	return time.Since(s.since)
}

func (s *silence) broken() { s.since = time.Time{} }

// heard tells of a sign of life a while before a look.
func (s *silence) heard(before time.Duration, look time.Time) { s.since = look.Add(-before) }

// verdict is dead once the silence has lasted long enough, and alive before.
func verdict(silent, enough time.Duration, says string) sight {
	s := sight{Sees: alive, Silent: model.Duration(silent), Says: says}
	if silent >= enough {
		s.Sees = dead
	}
	return s
}

// fromEngine is our own way to the primary. Whatever the primary answers, an
// error too, is a sign of life.
func (c Server) fromEngine(p deadParams) vantage {
	var quiet silence
	return vantage{"engine", func(ctx context.Context) (sight, error) {
		began := time.Now()
		s, err := c.stand(ctx, time.Duration(p.Heartbeat))
		switch {
		case err == nil && s.standby:
			quiet.broken()
			return sight{Sees: alive, Says: "it answers, and is a standby now"}, nil
		case err == nil, answered(err):
			quiet.broken()
			return sight{Sees: alive, Says: "it answers"}, nil
		case actions.ClassOf(err) == actions.ClassPermanent:
			return sight{}, c.Failure(ctx, "look at the primary", err)
		}
		return verdict(quiet.lasts(began), p.enough(), "it does not answer"), nil
	}}
}

// fromStandby is what a standby knows by its own connection to the primary.
//
// A receiver that hears nothing for half of wal_receiver_timeout asks the primary
// to say something. Before that, silence only means that nobody writes.
//
// One that gives up its connection meanwhile has still heard nothing since.
//
// A standby that is not connected counts only when it was until a short while
// ago: one whose replication broke yesterday knows nothing of the primary.
func (c Server) fromStandby(p deadParams) vantage {
	var quiet silence
	return vantage{"standby/" + c.Name, func(ctx context.Context) (sight, error) {
		began := time.Now()
		s, err := c.stand(ctx, time.Duration(p.Heartbeat))
		switch {
		case actions.ClassOf(err) == actions.ClassPermanent:
			return sight{}, c.Failure(ctx, "look at the primary from", err)
		case err != nil:
			return sight{Sees: unknown, Says: "the standby does not answer"}, nil
		case !s.standby:
			return s.promoted(), nil
		case s.streams && s.patience == 0:
			return sight{Sees: unknown, Says: "wal_receiver_timeout is 0 there, so that silence means nothing"}, nil
		case s.streams:
			quiet.heard(s.heard, began)
			return verdict(s.heard, max(p.enough(), s.patience/2+time.Duration(p.Heartbeat)), "its WAL receiver is connected"), nil
		case s.replay == nil || *s.replay > time.Duration(p.Recent)+quiet.lasts(began):
			return sight{Sees: unknown, Says: "it does not stream, and has not replayed a commit of late"}, nil
		}
		return verdict(quiet.lasts(began), p.enough(), "its WAL receiver is not connected"), nil
	}}
}

// afterPromotion is how long a server that was a standby may be the sign of a
// failover that was begun and not finished.
const afterPromotion = time.Hour

// promoted is what to think of a server that is no standby any more. One that
// never was, or long ago, is where the connection should not lead: to the primary
// itself, perhaps.
func (s standing) promoted() sight {
	if s.replay == nil || *s.replay > afterPromotion {
		return sight{Sees: unknown, Says: "it is no standby of this primary; does the connection lead to the right server?"}
	}
	return sight{Sees: dead, Silent: model.Duration(*s.replay), Says: "it was promoted, and follows nobody"}
}

// fromWitness asks somebody else who watches the primary.
func fromWitness(w witness, p deadParams) vantage {
	var quiet silence
	return vantage{w.name(), func(ctx context.Context) (sight, error) {
		began := time.Now()
		status, err := w.ask(ctx, time.Duration(p.Heartbeat))
		switch {
		case err != nil:
			return sight{Sees: unknown, Says: "the witness does not answer"}, nil
		case status >= 200 && status < 300:
			quiet.broken()
			return sight{Sees: alive, Says: fmt.Sprintf("it answers %d", status)}, nil
		case status != http.StatusServiceUnavailable:
			return sight{Sees: unknown, Says: fmt.Sprintf("it answers %d, which is neither 200 nor 503", status)}, nil
		}
		return verdict(quiet.lasts(began), p.enough(), "it answers 503"), nil
	}}
}

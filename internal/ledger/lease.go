package ledger

import (
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/common/model"
)

// lease is a run that may act, and the resource that it holds, if any.
type lease struct {
	Run      string  `json:"run"`
	Workflow string  `json:"w,omitempty"` // see Admit
	Runbook  string  `json:"rb"`
	Resource string  `json:"res,omitempty"`
	Token    int64   `json:"t"`
	Since    int64   `json:"s"`
	Until    int64   `json:"u"` // for the run
	Free     int64   `json:"f"` // for others
	Cooldown int64   `json:"c,omitempty"`
	Unheard  bool    `json:"n,omitempty"`
	Linger   bool    `json:"l,omitempty"` // the run has ended
	StopFor  string  `json:"x,omitempty"`
	Work     []*work `json:"p,omitempty"`
}

func (h *lease) text() string {
	if h.Linger {
		return fmt.Sprintf("%s was held by %s, which has ended; what it began may last until %s", h.Resource, h.Run, clock(h.Free))
	}
	return fmt.Sprintf("%s is held by %s since %s", h.Resource, h.Run, clock(h.Since))
}

func (l *Ledger) indexLease(h *lease) {
	l.runs[h.Run] = h
	if h.Resource != "" {
		l.resources[h.Resource] = h
	}
	if !h.Linger {
		l.acting++
	}
	if h.Unheard {
		l.unheard++
	}
}

// heard takes in that a run knows of its turn.
func (l *Ledger) heard(h *lease) {
	if h.Unheard {
		h.Unheard = false
		l.unheard--
		l.dirty = l.dirty || l.more
	}
}

func (l *Ledger) extend(h *lease, keep model.Duration) {
	h.Until = max(h.Until, l.Now+l.lasts()+length(keep))
	h.Free = h.Until + l.margin()
	l.firstFree = min(l.firstFree, h.Free)
}

func (l *Ledger) renew(h *lease, keep model.Duration) Answer {
	l.heard(h)
	l.extend(h, keep)
	return l.holds(h)
}

func (l *Ledger) holds(h *lease) Answer {
	return Answer{State: Admitted, Token: h.Token, Lease: model.Duration(l.lasts())}
}

func (l *Ledger) confirm(c Confirm) Answer {
	l.expireLeases()
	h := l.runs[c.Run]
	switch {
	case h == nil || h.Linger:
		return Answer{State: Refused, Guard: GuardResource, Reason: fmt.Sprintf("the lease of %s is over", c.Run)}
	case h.Token != c.Token:
		return Answer{State: Refused, Guard: GuardResource, Reason: fmt.Sprintf("%s has token %d by now, not %d", c.Run, h.Token, c.Token)}
	}
	return l.renew(h, c.Keep)
}

func (l *Ledger) release(r Release) {
	l.end(r.Run, Answer{State: Refused, Guard: GuardEnded, Reason: "the run has ended"})
	if e := l.waiting[r.Run]; e != nil {
		l.remove(e)
	}
	h := l.runs[r.Run]
	if h == nil || h.Linger {
		return
	}
	l.heard(h)
	l.conclude(h, r.Acted || r.Linger)
	if r.Linger && (h.Resource != "" || h.lasts()) {
		l.linger(h)
		return
	}
	l.drop(h)
}

func (l *Ledger) linger(h *lease) {
	h.Linger = true
	l.acting--
	l.dirty = true
}

func (l *Ledger) drop(h *lease) {
	l.heard(h)
	if !h.Linger {
		l.acting--
	}
	if i := slices.Index(l.Leases, h); i >= 0 {
		l.Leases = slices.Delete(l.Leases, i, i+1)
	}
	delete(l.runs, h.Run)
	if l.resources[h.Resource] == h {
		delete(l.resources, h.Resource)
	}
	l.dirty = true
}

// force takes a resource from whoever has it, because a person says so. The
// fence behind it is the token: that of the next holder is greater.
func (l *Ledger) force(a *Admit) {
	other := l.resources[a.Resource]
	if a.Resource == "" || other == nil {
		return
	}
	l.preempt(a)
	if !other.Linger {
		l.conclude(other, true)
	}
	l.drop(other)
}

// expireLeases frees what was not confirmed. Nobody knows what the run did, so
// its cooldown begins now.
func (l *Ledger) expireLeases() {
	if l.Now < l.firstFree {
		return
	}
	l.firstFree = math.MaxInt64
	for _, h := range slices.Clone(l.Leases) {
		if h.Free > l.Now {
			l.firstFree = min(l.firstFree, h.Free)
			continue
		}
		if !h.Linger {
			l.conclude(h, true)
		}
		l.drop(h)
	}
}

// Gone takes in that the workflow of a run is no more: it can not have acted
// since its turn was to be told to it.
func (l *Ledger) Gone(run string) {
	if h := l.runs[run]; h != nil && h.Unheard {
		l.release(Release{Run: run})
		l.more = l.Queue.Len > 0
	}
}

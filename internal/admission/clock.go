package admission

import "time"

// clock is what a process knows of the time.
type clock interface {
	read() instant
	// after is time.AfterFunc.
	after(d time.Duration, f func()) *time.Timer
}

// instant is one moment by two clocks. One never goes back, and stands still
// while a machine sleeps; the other may be set.
type instant struct{ steady, wall time.Time }

// since is how long ago a moment was, by whichever clock says more.
func (i instant) since(was instant) time.Duration {
	return max(i.steady.Sub(was.steady), i.wall.Sub(was.wall))
}

// machine is the clock of this machine.
type machine struct{}

func (machine) read() instant {
	now := time.Now()
	return instant{steady: now, wall: now.Round(0)}
}

func (machine) after(d time.Duration, f func()) *time.Timer { return time.AfterFunc(d, f) }

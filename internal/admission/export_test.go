package admission

import "time"

// Skew gives a client a clock of its own: one that never goes back but at another
// rate than that of the world, and one that is wrong by what wall says.
func (c *Client) Skew(rate float64, wall func() time.Duration) *Client {
	c.clock = skewed{start: time.Now(), rate: rate, wall: wall}
	return c
}

// Elapsed is how long a moment is taken to be ago of which the clocks of a process
// say so.
func Elapsed(steady, wall time.Duration) time.Duration {
	now := time.Now()
	return instant{steady: now.Add(steady), wall: now.Add(wall)}.since(instant{steady: now, wall: now})
}

type skewed struct {
	start time.Time
	rate  float64
	wall  func() time.Duration
}

func (s skewed) read() instant {
	now := s.start.Add(time.Duration(float64(time.Since(s.start)) * s.rate))
	return instant{steady: now, wall: now.Round(0).Add(s.wall())}
}

func (s skewed) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(time.Duration(float64(d)/s.rate), f)
}

package failover

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// sees is a place from which these are seen, one look after the other; the last
// stays.
func sees(all ...string) vantage {
	looks := 0
	return vantage{"place", func(context.Context) (sight, error) {
		now := all[min(looks, len(all)-1)]
		looks++
		return sight{Sees: now, Silent: model.Duration(time.Second)}, nil
	}}
}

// slow takes a while for each look.
func slow(v vantage, each time.Duration) vantage {
	return vantage{v.name, func(ctx context.Context) (sight, error) {
		time.Sleep(each)
		return v.look(ctx)
	}}
}

func TestWhatIsSeenDecides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		places []vantage
		dead   bool
	}{
		"all see it dead":                           {[]vantage{sees(dead), sees(dead)}, true},
		"two of three":                              {[]vantage{sees(dead), sees(dead), sees(unknown)}, true},
		"the engine alone":                          {[]vantage{sees(dead), sees(unknown)}, false},
		"half are not most":                         {[]vantage{sees(dead), sees(dead), sees(unknown), sees(unknown)}, false},
		"one sees it alive":                         {[]vantage{sees(dead), sees(dead), sees(dead), sees(alive)}, false},
		"the slowest sees it alive":                 {[]vantage{sees(dead), sees(dead), sees(dead), slow(sees(alive), 50*time.Millisecond)}, false},
		"the slowest sees nothing":                  {[]vantage{sees(dead), sees(dead), sees(dead), slow(sees(unknown), 50*time.Millisecond)}, true},
		"everybody but the engine":                  {[]vantage{sees(unknown), sees(dead), sees(dead)}, false},
		"one saw it alive and sees no more":         {[]vantage{sees(unknown, unknown, unknown, dead), sees(unknown, dead), sees(alive, unknown)}, false},
		"one saw it alive, then nothing, then dead": {[]vantage{sees(dead), sees(alive, unknown, dead)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := watch(t.Context(), c.places, deadParams{Heartbeat: model.Duration(60 * time.Millisecond), Within: model.Duration(2 * time.Second)})
			if err != nil || r.Dead != c.dead {
				t.Errorf("it gives %+v, %v", r, err)
			}
		})
	}
}

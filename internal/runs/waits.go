package runs

import (
	"context"
	"sync"
	"time"

	"github.com/runbook-engine/runbook/internal/run"
)

const (
	waitsAsked  = 100 // runs of a list that are asked, the first of them
	waitsAtOnce = 16
	waitsWithin = 2 * time.Second
)

// Waits finds out of the runs of a list that are under way what they wait for.
// Nobody waits long for it: what can not be found out in time is left out.
func (s *Service) Waits(ctx context.Context, rows []Row) {
	if s.held.Load() {
		return
	}
	ctx, stop := context.WithTimeout(ctx, waitsWithin)
	defer stop()
	var all sync.WaitGroup
	slots, asked := make(chan struct{}, waitsAtOnce), 0
	for i := range rows {
		if rows[i].Status != run.Running || asked == waitsAsked {
			continue
		}
		asked++
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			rows[i].WaitsFor = s.waitsFor(ctx, rows[i].ID)
		})
	}
	all.Wait()
}

func (s *Service) waitsFor(ctx context.Context, id string) string {
	if ctx.Err() != nil {
		return ""
	}
	r, err := s.Get(ctx, id)
	if err != nil {
		return "" // it is listed as under way, which it is
	}
	return r.WaitsFor()
}

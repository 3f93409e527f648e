package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/api/v2/client/general"

	"github.com/runbook-engine/runbook/internal/lab/child"
)

// awaitPeers waits until it sees n members in its cluster, itself included,
// and has settled; before, it sends nothing.
func (a *Alertmanager) awaitPeers(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	err := child.Poll(ctx, 5*watchEvery, func(ctx context.Context) error { return a.settled(ctx, n) })
	if err != nil {
		return fmt.Errorf("wait for the peers of Alertmanager %s: %w", a.URL, err)
	}
	return nil
}

func (a *Alertmanager) settled(ctx context.Context, n int) error {
	answer, err := a.API.General.GetStatus(general.NewGetStatusParamsWithContext(ctx).WithTimeout(time.Second))
	if err != nil {
		return err
	}
	cluster := answer.Payload.Cluster
	if *cluster.Status != "ready" || len(cluster.Peers) != n {
		return fmt.Errorf("it is %s with %d of %d members", *cluster.Status, len(cluster.Peers), n)
	}
	return nil
}

package alertmanagerapi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/api/v2/client/general"
	"github.com/prometheus/alertmanager/api/v2/models"
)

// Since is when Alertmanager was started. It is an error while it settles with
// its peers.
func (c *Client) Since(ctx context.Context) (since time.Time, err error) {
	err = c.do(ctx, "read the status", func(ctx context.Context) error {
		answer, err := c.api.General.GetStatus(general.NewGetStatusParamsWithContext(ctx))
		if err != nil {
			return err
		}
		status := answer.Payload
		if status == nil || status.Uptime == nil || status.Cluster == nil || status.Cluster.Status == nil {
			return errors.New("the answer is not complete; is this an Alertmanager?")
		}
		if *status.Cluster.Status == models.ClusterStatusStatusSettling {
			return fmt.Errorf("its cluster is %s", *status.Cluster.Status)
		}
		since = time.Time(*status.Uptime)
		return nil
	})
	return since, err
}

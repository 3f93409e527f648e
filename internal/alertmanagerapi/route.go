package alertmanagerapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/alertmanager/api/v2/client/general"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/runbook-engine/runbook/internal/document"
)

// Webhooks are the receivers with a webhook that an alert with these labels
// would be sent to, by the configuration that Alertmanager runs with.
func (c *Client) Webhooks(ctx context.Context, set map[string]string) (names []string, err error) {
	var text string
	err = c.do(ctx, "read the configuration", func(ctx context.Context) error {
		answer, err := c.api.General.GetStatus(general.NewGetStatusParamsWithContext(ctx))
		if err != nil {
			return err
		}
		if answer.Payload == nil || answer.Payload.Config == nil || answer.Payload.Config.Original == nil {
			return errors.New("the answer is not complete; is this an Alertmanager?")
		}
		text = *answer.Payload.Config.Original
		return nil
	})
	if err != nil {
		return nil, err
	}
	return webhooks(text, set)
}

// settings is what matters of Alertmanager's configuration file.
type settings struct {
	Route     route `json:"route"`
	Receivers []struct {
		Name     string `json:"name"`
		Webhooks []any  `json:"webhook_configs"`
	} `json:"receivers"`
}

type route struct {
	Receiver string            `json:"receiver"`
	Matchers []string          `json:"matchers"`
	Match    map[string]string `json:"match"`
	MatchRE  map[string]string `json:"match_re"`
	Continue bool              `json:"continue"`
	Routes   []route           `json:"routes"`
}

// webhooks walks the tree of routes as Alertmanager's dispatcher does, whose own
// package would bring every notifier with it.
func webhooks(text string, set map[string]string) (names []string, err error) {
	var s settings
	if err := decode(text, &s); err != nil {
		return nil, fmt.Errorf("understand alertmanager's configuration: %w", err)
	}
	receivers, err := s.Route.receivers("", set)
	for _, r := range s.Receivers {
		if len(r.Webhooks) > 0 && slices.Contains(receivers, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names, err
}

func decode(text string, into any) error {
	nodes, problems := document.Parse("alertmanager.yml", []byte(text))
	if err := problems.Err(); err != nil {
		return err
	}
	if len(nodes) == 0 {
		return errors.New("it is empty")
	}
	raw, err := json.Marshal(nodes[0].Value())
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

func (r route) receivers(above string, set map[string]string) (names []string, err error) {
	own := cmp.Or(r.Receiver, above)
	for _, below := range r.Routes {
		matches, err := below.matches(set)
		if err != nil {
			return nil, err
		}
		if !matches {
			continue
		}
		found, err := below.receivers(own, set)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
		if !below.Continue {
			break
		}
	}
	if len(names) == 0 {
		names = []string{own}
	}
	return names, nil
}

func (r route) matches(set map[string]string) (bool, error) {
	var all labels.Matchers
	for _, text := range r.Matchers {
		found, err := labels.ParseMatchers(text)
		if err != nil {
			return false, fmt.Errorf("understand the matcher %q of alertmanager: %w", text, err)
		}
		all = append(all, found...)
	}
	for kind, old := range map[labels.MatchType]map[string]string{labels.MatchEqual: r.Match, labels.MatchRegexp: r.MatchRE} {
		for name, value := range old {
			m, err := labels.NewMatcher(kind, name, value)
			if err != nil {
				return false, fmt.Errorf("understand a match of alertmanager: %w", err)
			}
			all = append(all, m)
		}
	}
	for _, m := range all {
		if !m.Matches(set[m.Name]) {
			return false, nil
		}
	}
	return true, nil
}

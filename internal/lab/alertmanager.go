package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/alertmanager/api/v2/client"

	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

// AlertmanagerOptions says how Alertmanager sends to one webhook.
type AlertmanagerOptions struct {
	// Program is the path of the alertmanager to run; the installed one
	// unless set. See CurrentAlertmanager.
	Program string
	Webhook Webhook
	// GroupBy are the labels that group alerts; none puts all into one group,
	// "..." each into its own.
	GroupBy []string
	// GroupWait is 0 unless set, GroupInterval 1s, RepeatInterval 1h.
	GroupWait, GroupInterval, RepeatInterval time.Duration
	// PeerTimeout is how long a peer waits for those before it to notify;
	// Alertmanager's own 15s unless set.
	PeerTimeout time.Duration
}

// Alertmanager is an Alertmanager of its own.
type Alertmanager struct {
	*child.Server
	// URL is where it serves, and API its client.
	URL string
	API *client.AlertmanagerAPI

	home    string
	gossip  string // address of its cluster port; empty without a cluster
	options AlertmanagerOptions
}

// StartAlertmanager starts one Alertmanager without a cluster, with its files
// below dir.
func StartAlertmanager(ctx context.Context, dir string, options AlertmanagerOptions) (*Alertmanager, error) {
	return startAlertmanager(ctx, dir, "alertmanager", options, nil)
}

// StartAlertmanagers starts n Alertmanagers that gossip with each other, and
// waits until they have found each other.
func StartAlertmanagers(ctx context.Context, dir string, n int, options AlertmanagerOptions) (peers []*Alertmanager, err error) {
	var known []string
	for i := range n {
		peer, err := startAlertmanager(ctx, dir, fmt.Sprintf("alertmanager-%d", i+1), options, append(known, ""))
		if err != nil {
			return nil, errors.Join(err, killAll(peers))
		}
		peers, known = append(peers, peer), append(known, peer.gossip)
	}
	for _, peer := range peers {
		if err := peer.awaitPeers(ctx, n); err != nil {
			return nil, errors.Join(err, killAll(peers))
		}
	}
	return peers, nil
}

func killAll(peers []*Alertmanager) error {
	var failed []error
	for _, peer := range peers {
		failed = append(failed, peer.Kill())
	}
	return errors.Join(failed...)
}

// startAlertmanager starts one that joins the known peers; nil is no cluster.
// An empty peer is no peer: the first has none to join.
func startAlertmanager(ctx context.Context, dir, name string, options AlertmanagerOptions, known []string) (*Alertmanager, error) {
	path, err := options.program()
	if err != nil {
		return nil, err
	}
	a := &Alertmanager{home: filepath.Join(dir, name), options: options}
	if err := options.write(a.home); err != nil {
		return nil, fmt.Errorf("configure Alertmanager: %w", err)
	}
	a.Server, err = child.RunOnFreePorts(ctx, 2, func(ports []int) child.Program {
		a.listen(child.Address(ports[0]), child.Address(ports[1]), known != nil)
		return child.Program{
			Name: "Alertmanager", Path: path, Dir: a.home, Log: filepath.Join(dir, name+".log"),
			Args: append([]string{
				"--config.file=alertmanager.yml", "--storage.path=data", "--web.listen-address=" + child.Address(ports[0]),
			}, options.clusterArguments(a.gossip, known)...),
			Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
			Ready: answers(a.URL + "/-/ready"),
		}
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Alertmanager) listen(web, gossip string, clustered bool) {
	a.URL = "http://" + web
	a.API = client.NewHTTPClientWithConfig(nil, client.DefaultTransportConfig().WithHost(web))
	if clustered {
		a.gossip = gossip
	}
}

// Address is the host:port that it serves on.
func (a *Alertmanager) Address() string {
	parsed, err := url.Parse(a.URL)
	if err != nil {
		panic(err) // we made it
	}
	return parsed.Host
}

// Reconfigure makes a running Alertmanager take new options, except for the
// program and the peer timeout.
func (a *Alertmanager) Reconfigure(ctx context.Context, options AlertmanagerOptions) error {
	if err := options.write(a.home); err != nil {
		return fmt.Errorf("configure Alertmanager: %w", err)
	}
	if _, err := request(ctx, http.MethodPost, a.URL+"/-/reload", nil); err != nil {
		return fmt.Errorf("reload Alertmanager: %w", err)
	}
	a.options = options
	return nil
}

func (o AlertmanagerOptions) program() (string, error) {
	if o.Program != "" {
		return o.Program, nil
	}
	return programs.Alertmanager.Find()
}

// clusterArguments make peers find each other within a second instead of ten.
func (o AlertmanagerOptions) clusterArguments(gossip string, known []string) []string {
	arguments := []string{"--cluster.listen-address=" + gossip}
	if gossip == "" {
		return arguments
	}
	arguments = append(arguments,
		"--cluster.advertise-address="+gossip, "--cluster.gossip-interval=20ms", "--cluster.pushpull-interval=1s",
		"--cluster.peer-timeout="+cmp.Or(o.PeerTimeout, 15*time.Second).String())
	for _, peer := range known {
		if peer != "" {
			arguments = append(arguments, "--cluster.peer="+peer)
		}
	}
	return arguments
}

func (o AlertmanagerOptions) write(home string) error {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	receiver, err := o.Webhook.receiver(home)
	if err != nil {
		return err
	}
	return writeYAML(filepath.Join(home, "alertmanager.yml"), settings{
		"route": settings{
			"receiver": receiver["name"], "group_by": o.GroupBy,
			"group_wait":      duration(o.GroupWait),
			"group_interval":  duration(cmp.Or(o.GroupInterval, time.Second)),
			"repeat_interval": duration(cmp.Or(o.RepeatInterval, time.Hour)),
		},
		"receivers": []settings{receiver},
	})
}

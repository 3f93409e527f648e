package lab

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/lab/built"
	"github.com/runbook-engine/runbook/internal/lab/child"
)

// OrdersOptions says how to run the demo service.
type OrdersOptions struct {
	// Program is the path of orders-demo. Unless set it is the one beside our
	// own executable, or else it is built, which works inside the source tree.
	Program string
	// PoolSize is 20 unless set.
	PoolSize int
	// Traffic is the number of its own checkouts a second: 20 unless set;
	// negative is none.
	Traffic float64
}

// Orders is the demo service orders-api.
type Orders struct {
	*child.Server
	// URL is where it serves.
	URL string
	// PoolSize is the size of its connection pool.
	PoolSize int

	address string
}

// ordersJob is the Prometheus job of the service.
const ordersJob = "orders-api"

// StartOrders starts the demo service on a database, with its log in dir.
func StartOrders(ctx context.Context, dir, dsnFile string, options OrdersOptions) (*Orders, error) {
	path, err := options.program(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("find the demo service: %w", err)
	}
	orders := &Orders{PoolSize: cmp.Or(options.PoolSize, 20)}
	orders.Server, err = child.RunOnFreePorts(ctx, 1, func(ports []int) child.Program {
		orders.address = child.Address(ports[0])
		orders.URL = "http://" + orders.address
		return child.Program{
			Name: "orders-api", Path: path, Dir: dir, Log: filepath.Join(dir, "orders-api.log"),
			Args: []string{
				"-listen=" + orders.address, "-dsn-file=" + dsnFile, "-pool-size=" + strconv.Itoa(orders.PoolSize),
				fmt.Sprintf("-traffic=%g", cmp.Or(options.Traffic, 20)),
			},
			Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
			Ready: answers(orders.URL + "/healthz"),
		}
	})
	if err != nil {
		return nil, err
	}
	return orders, nil
}

func (o OrdersOptions) program(ctx context.Context, dir string) (string, error) {
	if o.Program != "" {
		return o.Program, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	beside := filepath.Join(filepath.Dir(self), "orders-demo")
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	program := filepath.Join(dir, "orders-demo")
	if _, err := built.Go(ctx, "", "build", "-o", program, "github.com/runbook-engine/runbook/cmd/orders-demo"); err != nil {
		return "", fmt.Errorf("no %s, and it cannot be built here (\"make build\" in the source tree makes both): %w", beside, err)
	}
	return program, nil
}

// Pool is the connection pool of the service at one moment.
type Pool struct{ Size, InUse, Idle, Waiting int }

// Full reports whether every connection is in use.
func (p Pool) Full() bool { return p.InUse >= p.Size }

// Relieved reports whether the pool is no longer short of connections: at most
// 70 % are in use and nobody waits for one.
func (p Pool) Relieved() bool { return p.Waiting == 0 && 10*p.InUse <= 7*p.Size }

// Pool asks the service itself, by its metrics.
func (o *Orders) Pool(ctx context.Context) (Pool, error) {
	text, err := request(ctx, http.MethodGet, o.URL+"/metrics", nil)
	if err != nil {
		return Pool{}, fmt.Errorf("read the metrics of orders-api: %w", err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return Pool{}, fmt.Errorf("read the metrics of orders-api: %w", err)
	}
	gauge := func(name string) int {
		if metrics := families[name].GetMetric(); len(metrics) > 0 {
			return int(metrics[0].GetGauge().GetValue())
		}
		return 0
	}
	return Pool{gauge("db_pool_size"), gauge("db_pool_in_use"), gauge("db_pool_idle"), gauge("db_pool_waiting")}, nil
}

// Leak makes n requests hold a connection in an open transaction, and returns
// how many got one.
func (o *Orders) Leak(ctx context.Context, n int) (held int, err error) {
	return o.fault(ctx, http.MethodPost, fmt.Sprintf("/fault/leak?sessions=%d", n))
}

// EndLeak ends the requests that hold connections.
func (o *Orders) EndLeak(ctx context.Context) error {
	_, err := o.fault(ctx, http.MethodDelete, "/fault/leak")
	return err
}

func (o *Orders) fault(ctx context.Context, method, path string) (sessions int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := request(ctx, method, o.URL+path, nil)
	if err != nil {
		return 0, err
	}
	var answer struct{ Sessions int }
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("%s %s: read the answer: %w", method, o.URL+path, err)
	}
	return answer.Sessions, nil
}

// Command orders-demo runs the demo service "orders-api", which the lab and
// docker-compose.yml break and repair.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/runbook-engine/runbook/internal/lab/orders"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "orders-demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("orders-demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:8080", "`address` to serve on")
	dsnFile := flags.String("dsn-file", "", "`file` with the URL of the database (default: the variable DATABASE_URL)")
	config := orders.Config{Log: slog.New(slog.NewJSONHandler(stderr, nil))}
	flags.IntVar(&config.PoolSize, "pool-size", 20, "highest `number` of database connections")
	flags.Float64Var(&config.Traffic, "traffic", 20, "own checkouts a second, to have something to measure")
	if err := flags.Parse(args); err != nil {
		return ignoreHelp(err)
	}
	var err error
	if config.DSN, err = databaseURL(*dsnFile); err != nil {
		return err
	}
	return serve(ctx, *listen, config)
}

func serve(ctx context.Context, listen string, config orders.Config) error {
	service, err := orders.New(ctx, config)
	if err != nil {
		return err
	}
	defer service.Close()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	config.Log.Info("serving", "address", listener.Addr().String(), "pool", config.PoolSize)
	return service.Serve(ctx, listener)
}

func databaseURL(file string) (string, error) {
	if file == "" {
		if url := os.Getenv("DATABASE_URL"); url != "" {
			return url, nil
		}
		return "", errors.New("no database: set -dsn-file or the variable DATABASE_URL")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the database URL: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func ignoreHelp(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}

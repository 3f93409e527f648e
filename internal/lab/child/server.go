package child

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Server is a running program that can be stopped, killed and started
// again, on the same port and with the same data. Its methods are not for
// concurrent use.
type Server struct {
	process *process
}

// Stop ends the server in order. It is no error when it has ended already.
func (s *Server) Stop() error { return s.process.end() }

// Kill ends the server as kill -9 does.
func (s *Server) Kill() error { return s.process.kill() }

// Start starts a server that was stopped or killed, and waits until it is
// ready.
func (s *Server) Start(ctx context.Context) error {
	started, err := runPatiently(ctx, s.process.Program)
	if err == nil {
		s.process = started
	}
	return err
}

// Log is the file that the output of the server goes to.
func (s *Server) Log() string { return s.process.Program.Log }

// PID is the process id of the server.
func (s *Server) PID() int { return s.process.cmd.Process.Pid }

// What a server says when something of the process before it is still there.
var passing = []string{"address already in use", "pre-existing shared memory block"}

func isPassing(err error) bool {
	text := strings.ToLower(err.Error())
	for _, reason := range passing {
		if strings.Contains(text, reason) {
			return true
		}
	}
	return false
}

// runPatiently is run, again and again while what hinders the start will pass.
func runPatiently(ctx context.Context, p Program) (*process, error) {
	deadline := time.Now().Add(stopWithin)
	for {
		started, err := run(ctx, p)
		if err == nil || !isPassing(err) || time.Now().After(deadline) {
			return started, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

const portTries = 5

// RunOnFreePorts starts a program that listens on n free ports of the
// loopback, and waits until it is ready. One that is not is ended, and the
// error has the last lines of its log. Somebody may take a port between its
// choice and the start: then others are tried.
func RunOnFreePorts(ctx context.Context, n int, describe func(ports []int) Program) (*Server, error) {
	for try := 1; ; try++ {
		ports, err := freePorts(n)
		if err != nil {
			return nil, err
		}
		started, err := run(ctx, describe(ports))
		if err == nil {
			return &Server{started}, nil
		}
		if !isPassing(err) || try == portTries {
			return nil, err
		}
	}
}

// FreeAddress is an address of the loopback on which nobody listens now. Nobody
// who takes any free port is given this one for the next minute.
func FreeAddress() (string, error) {
	ports, err := freePorts(1)
	if err != nil {
		return "", err
	}
	return Address(ports[0]), nil
}

// freePorts holds each port until all are found, so that they differ.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port on the loopback: %w", err)
		}
		defer listener.Close()
		if err := reserve(listener); err != nil {
			return nil, fmt.Errorf("reserve a port of the loopback: %w", err)
		}
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// reserve leaves a connection in TIME_WAIT on the port. While it is there the
// system gives the port only to who names it.
func reserve(listener net.Listener) error {
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		return err
	}
	return server.Close() // the first to close waits
}

// Address is a port of the loopback as host:port.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

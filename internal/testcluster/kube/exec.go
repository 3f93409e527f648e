package main

// A stand-in for what a kubelet and its container runtime do when a command is
// run in a pod. kwok tells a command that fails as an error of its own, without
// the exit code. The protocol is that of the real ones, by their own library; the
// command runs on this machine, in the directory of the cluster. Everything else
// that a kubelet is asked is handed on to kwok.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os/exec"
	"strings"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

func (c cluster) execs(context.Context) error {
	elsewhere := httputil.NewSingleHostReverseProxy(&loopback("https", c.kwokPort)[0])
	elsewhere.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // both ends are ours
	mux := http.NewServeMux()
	mux.Handle("/", elsewhere)
	mux.HandleFunc("/exec/", c.serveExec)
	server := &http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", c.kubeletPort), Handler: mux, ReadHeaderTimeout: time.Minute,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}} // an upgrade needs HTTP/1.1
	return server.ListenAndServeTLS(c.file("apiserver.crt"), c.file("apiserver.key"))
}

// serveExec serves /exec/NAMESPACE/POD/CONTAINER.
func (c cluster) serveExec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, runtime{c.dir}, "", "", "", r.URL.Query()["command"], options, 4*time.Hour, 30*time.Second,
		remotecommand.SupportedStreamingProtocols)
}

type runtime struct{ dir string }

// ExecInContainer implements remotecommand.Executor.
func (r runtime) ExecInContainer(ctx context.Context, _, _, _ string, argv []string, in io.Reader, out, errs io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Dir, command.Stdin, command.Stdout, command.Stderr = r.dir, in, out, errs
	err := command.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended) && ended.Exited():
		return utilexec.CodeExitError{Err: err, Code: ended.ExitCode()}
	case err != nil && command.Process == nil:
		return notStarted(argv[0])
	}
	return err
}

// notStarted is what containerd and runc say.
func notStarted(program string) error {
	why := `exec: "` + program + `": executable file not found in $PATH`
	if strings.HasPrefix(program, "/") {
		why = `exec: "` + program + `": stat ` + program + `: no such file or directory`
	}
	return fmt.Errorf("failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: unable to start container process: %s: unknown", why)
}

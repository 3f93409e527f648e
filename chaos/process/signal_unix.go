//go:build unix

package process

import (
	"fmt"
	"os"
	"syscall"
)

var (
	signalStop     os.Signal = syscall.SIGSTOP
	signalContinue os.Signal = syscall.SIGCONT
	signals                  = map[string]os.Signal{
		"KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "ABRT": syscall.SIGABRT,
	}
)

// private reports a folder that others could put notes into.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || info.Mode().Perm()&0o022 != 0 || int(owner.Uid) != os.Getuid() {
		return fmt.Errorf("%s is no folder of our own that only we can write to", dir)
	}
	return nil
}

package child

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// The kernel sends the parent death signal when the thread that started the
// child ends, not when our process does. So one goroutine starts all children,
// on a thread that it owns and never gives back.
var starter = sync.OnceValue(func() chan<- func() {
	starts := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range starts {
			start()
		}
	}()
	return starts
})

// startChild starts cmd in a process group of its own, so that a Ctrl-C in our
// terminal does not reach it before we decide. It gets the orphan signal when
// we die. The function returned is called once cmd has ended.
func startChild(cmd *exec.Cmd, as *Account, orphan syscall.Signal) (unwatch func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as.credential(), Pdeathsig: orphan}
	result := make(chan error)
	starter() <- func() { result <- cmd.Start() }
	return func() {}, <-result
}

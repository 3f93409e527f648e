package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/prometheus/procfs"
)

// proc is one process. An id alone is not: the system gives it out again.
type proc struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in clock ticks since the machine started
}

const (
	zombie  = "Z"
	dead    = "X"
	stopped = "T"
)

func alive(s procfs.ProcStat) bool { return s.State != zombie && s.State != dead }

// identify gives the process of an id. It refuses those that nobody may mean.
func identify(pid int) (proc, error) {
	if runtime.GOOS != "linux" {
		return proc{}, errors.New("faults on processes need Linux")
	}
	if pid <= 1 || pid == os.Getpid() || pid == os.Getppid() {
		return proc{}, fmt.Errorf("process %d is the engine, what started it, or the system", pid)
	}
	stat, err := statOf(pid)
	if err != nil {
		return proc{}, err
	}
	return proc{pid, stat.Starttime}, nil
}

func statOf(pid int) (procfs.ProcStat, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, fmt.Errorf("%w: process %d has ended", errNone, pid)
	}
	stat, err := p.Stat()
	if err != nil || !alive(stat) {
		return procfs.ProcStat{}, fmt.Errorf("%w: process %d has ended", errNone, pid)
	}
	return stat, nil
}

// state is that of the process, and "" when it has ended.
func (p proc) state() string {
	stat, err := statOf(p.PID)
	if err != nil || stat.Starttime != p.Start {
		return ""
	}
	return stat.State
}

// signal reaches this process or none: the handle is taken before it is known to
// be the right one. A process that has ended is no error.
func (p proc) signal(s os.Signal) error {
	handle, err := os.FindProcess(p.PID)
	if err != nil {
		return nil
	}
	defer func() { _ = handle.Release() }()
	if p.state() == "" {
		return nil
	}
	if err := handle.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to process %d: %w", s, p.PID, err)
	}
	return nil
}

// descendants are the processes below these, without them.
func descendants(roots []proc) ([]proc, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	children := map[int][]proc{}
	for _, p := range all {
		if stat, err := p.Stat(); err == nil && alive(stat) {
			children[stat.PPID] = append(children[stat.PPID], proc{p.PID, stat.Starttime})
		}
	}
	var found []proc
	for queue := roots; len(queue) > 0; queue = queue[1:] {
		found = append(found, children[queue[0].PID]...)
		queue = append(queue, children[queue[0].PID]...)
	}
	return found, nil
}

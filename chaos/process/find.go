package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// finder gives the id of the process that is meant, or errNone.
type finder func(context.Context) (int, error)

var errNone = errors.New("there is no such process now")

func byPIDFile(path string) (int, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("%w: %s is not there", errNone, path)
	}
	if err != nil {
		return 0, err
	}
	// Some programs, PostgreSQL for one, add more lines.
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0, fmt.Errorf("%s holds no process id", path)
	}
	return pid, nil
}

// byUnit asks systemd. A unit that does not run has the main process 0.
func byUnit(ctx context.Context, unit string) (int, error) {
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=MainPID", "--value", "--", unit).Output()
	if err != nil {
		return 0, fmt.Errorf("ask systemd for %s: %w", unit, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return 0, fmt.Errorf("ask systemd for %s: it answered %q", unit, strings.TrimSpace(string(out)))
	}
	if pid == 0 {
		return 0, fmt.Errorf("%w: unit %s does not run", errNone, unit)
	}
	return pid, nil
}

func byCommand(words []string) (int, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return 0, fmt.Errorf("list the processes: %w", err)
	}
	parents := map[int]int{} // of the processes that match
	for _, p := range all {
		line, err := p.CmdLine()
		if err != nil || len(line) < len(words) || !slices.Equal(line[:len(words)], words) {
			continue // it has ended meanwhile, or is another
		}
		if stat, err := p.Stat(); err == nil && alive(stat) {
			parents[p.PID] = stat.PPID
		}
	}
	var roots []int
	for pid, parent := range parents {
		if _, matches := parents[parent]; !matches {
			roots = append(roots, pid)
		}
	}
	switch len(roots) {
	case 0:
		return 0, fmt.Errorf("%w: no command line begins with its words", errNone)
	case 1:
		return roots[0], nil
	}
	slices.Sort(roots)
	return 0, fmt.Errorf("the command lines of several processes begin with its words: %v", roots)
}

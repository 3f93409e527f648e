// Package terminal is how runs, plans and references look to a person: plain
// lines in a pipe, a tree that is redrawn in place on a terminal. What matters
// stands first, lines are short, and nothing that a label or a system says can
// drive the reader's terminal.
package terminal

import (
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
	"golang.org/x/term"
)

// Terminal is where text goes, and what it can show there.
type Terminal struct {
	out   io.Writer
	file  *os.File // nil when out is none
	live  bool
	marks marks
	style styles
}

// New looks at what a writer can show. The environment can only take away:
// NO_COLOR the colours, TERM=dumb also the redrawing.
func New(out io.Writer, env func(string) string) *Terminal {
	t := &Terminal{out: out, marks: plainMarks}
	profile := termenv.Ascii
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		t.file = file
		t.live = env("TERM") != "dumb"
		if t.live && env("NO_COLOR") == "" {
			profile = termenv.ANSI // the 16 colours that the person has chosen
		}
		if speaksUTF8(env) {
			t.marks = roundMarks
		}
	}
	renderer := lipgloss.NewRenderer(out)
	renderer.SetColorProfile(profile)
	t.style = newStyles(renderer)
	return t
}

// Live reports that lines can be redrawn in place.
func (t *Terminal) Live() bool { return t.live }

const (
	defaultWidth  = 100
	defaultHeight = 30
)

// size is that of the screen now: people resize windows.
func (t *Terminal) size() (width, height int) {
	if t.file == nil {
		return defaultWidth, defaultHeight
	}
	width, height, err := term.GetSize(int(t.file.Fd()))
	if err != nil || width < 20 || height < 5 {
		return defaultWidth, defaultHeight
	}
	return width, height
}

// Print writes lines.
func (t *Terminal) Print(lines ...string) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := io.WriteString(t.out, strings.Join(lines, "\n")+"\n")
	return err
}

// PrintFit is Print with lines cut to the screen.
func (t *Terminal) PrintFit(lines ...string) error {
	if !t.live {
		return t.Print(lines...)
	}
	width, _ := t.size()
	cut := make([]string, len(lines))
	for i, line := range lines {
		cut[i] = fit(line, width-1)
	}
	return t.Print(cut...)
}

func speaksUTF8(env func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := env(name); value != "" {
			value = strings.ToLower(strings.ReplaceAll(value, "-", ""))
			return strings.HasSuffix(value, "utf8")
		}
	}
	return false
}

// marks are the signs beside steps.
type marks struct {
	good, bad, unsure, skipped, pending string
	running                             []string
	branch, last, trunk, gap            string
}

var (
	roundMarks = marks{
		good: "✓", bad: "✗", unsure: "?", skipped: "–", pending: "○", running: []string{"◐", "◓", "◑", "◒"},
		branch: "├─ ", last: "└─ ", trunk: "│  ", gap: "   ",
	}
	plainMarks = marks{
		good: "+", bad: "x", unsure: "?", skipped: "-", pending: ".", running: []string{"|", "/", "-", "\\"},
		branch: "|- ", last: "`- ", trunk: "|  ", gap: "   ",
	}
)

type styles struct {
	good, bad, warn, dim, strong lipgloss.Style
}

func newStyles(r *lipgloss.Renderer) styles {
	colour := func(n string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(n)) }
	return styles{good: colour("2"), bad: colour("1"), warn: colour("3"), dim: r.NewStyle().Faint(true), strong: r.NewStyle().Bold(true)}
}

package terminal

import (
	"fmt"
	"io"
	"strings"
)

// Screen redraws a block of lines in place. The terminal stays in its ordinary
// mode, so that a program that is killed leaves nothing to repair.
type Screen struct {
	t     *Terminal
	drawn int
}

// NewScreen draws below what is printed so far.
func (t *Terminal) NewScreen() *Screen { return &Screen{t: t} }

const clearBelow = "\x1b[J"

// Draw replaces the lines that were drawn before. Of what is taller than the
// screen it shows the first line and the end.
func (s *Screen) Draw(lines []string) error {
	width, height := s.t.size()
	if spare := height - 2; len(lines) > spare {
		lines = append([]string{lines[0]}, lines[len(lines)-spare+1:]...)
	}
	var b strings.Builder
	b.WriteString(s.back())
	for _, line := range lines {
		b.WriteString(fit(line, width-1) + "\n")
	}
	s.drawn = len(lines)
	_, err := io.WriteString(s.t.out, b.String())
	return err
}

// Clear takes the lines away.
func (s *Screen) Clear() error {
	_, err := io.WriteString(s.t.out, s.back())
	s.drawn = 0
	return err
}

// Leave lets the lines stand; the next are drawn below.
func (s *Screen) Leave() { s.drawn = 0 }

func (s *Screen) back() string {
	if s.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\r\x1b[%dA%s", s.drawn, clearBelow)
}

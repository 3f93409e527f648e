package terminal

import (
	"strings"
	"unicode"
)

// Clean makes a text from outside harmless in one line: whoever can write a
// label or answer a query must not move the cursor, change the title or turn
// the reading direction of the screen.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return harmless(r)
	}, strings.ToValidUTF8(s, "�"))
}

// CleanText is Clean for a text of several lines.
func CleanText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		if r == '\t' {
			return ' '
		}
		return harmless(r)
	}, strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "�"))
}

func harmless(r rune) rune {
	if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
		return '�'
	}
	return r
}

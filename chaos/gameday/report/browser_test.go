package report_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/report"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

// faults are what is wrong with a page as it is laid out: what is wider than the
// window, words of the picture that are cut off or cover each other, and text that
// can hardly be told from its ground.
const faults = `(() => {
	const found = [], width = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth > width) found.push("the page is " + document.documentElement.scrollWidth + " wide");
	for (const e of document.querySelectorAll("header, p, li, .figures div, .picture, .scroll"))
		if (e.getBoundingClientRect().right > width + 1) found.push("wider than the window: " + e.outerHTML.slice(0, 80));
	for (const svg of document.querySelectorAll("svg")) {
		const frame = svg.getBoundingClientRect(), texts = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
		if (!svg.querySelector("polyline") || !svg.querySelector(".number")) found.push("no curve, or no moment, in the picture");
		texts.forEach(([text, a], i) => {
			if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.bottom > frame.bottom + 1) found.push("cut off in the picture: " + text);
			for (const [other, b] of texts.slice(i + 1))
				if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4)
					found.push(text + " and " + other + " cover each other");
		});
	}
	for (const row of document.querySelectorAll("td")) if (row.clientWidth < 24 && row.textContent.trim().length > 3) found.push("squeezed: " + row.textContent);
	for (const state of document.querySelectorAll('td[class^="s-"]')) {
		const text = document.createRange();
		text.selectNodeContents(state);
		if (text.getClientRects().length > 1) found.push("broken: " + state.textContent);
	}
	const light = c => { const [r, g, b] = c.match(/[\d.]+/g).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	for (const e of document.querySelectorAll(".dot, .badge")) {
		const s = getComputedStyle(e), [a, b] = [light(s.color), light(s.backgroundColor)].sort((x, y) => y - x);
		if ((a + .05) / (b + .05) < 2.5) found.push("hard to read: " + e.className + " " + e.textContent);
	}
	return found;
})()`

// The page of a drill, as a real browser lays it out: on a phone and on a desk, by
// day and by night.
func TestThePageIsWholeInABrowser(t *testing.T) {
	b := newBrowser(t)
	for name, results := range map[string][]report.Result{
		"fixed": {result(nil)}, "disabled": {result(disabled)}, "unhealed": {result(unhealed)}, "several": {result(nil), result(disabled)},
		"hostile": {result(func(p *gameday.Plan, e *gameday.Evidence) {
			p.Summary, e.Notes = hostile+strings.Repeat("w", 400), []string{hostile, strings.Repeat("n", 400)}
			e.Alerts[0].Labels["alertname"] = strings.Repeat("A", 300)
			e.Injections[0].Targets = []string{strings.Repeat("t/", 300)}
		})},
	} {
		page := filepath.Join(t.TempDir(), name+".html")
		var text strings.Builder
		if err := report.Write(&text, "html", results...); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(page, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, width := range []int64{400, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				for _, wrong := range b.open(t, page, width, scheme) {
					t.Errorf("%s, %d wide, %s: %s", name, width, scheme, wrong)
				}
			}
		}
	}
	for _, said := range b.told() {
		t.Error(said)
	}
}

// browser is a Chromium that notes what pages ask for and complain about.
type browser struct {
	ctx context.Context

	mu   sync.Mutex
	said []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := programs.Chromium.Find()
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.WSURLReadTimeout(time.Minute))
	alone, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(alone)
	t.Cleanup(end)
	b := &browser{ctx: ctx}
	_, noNetwork := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	_, noLog := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	if err := errors.Join(chromedp.Listen(ctx, b.listen), noNetwork, noLog); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "file" || e.Type != network.ResourceTypeDocument {
			b.said = append(b.said, "it asks for "+e.Request.URL)
		}
	case *log.EventEntryAdded:
		b.said = append(b.said, "the browser complains: "+e.Entry.Text)
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, "a script fails: "+e.ExceptionDetails.Text)
	}
}

func (b *browser) told() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.said...)
}

// open lays a page out, and says what is wrong with it.
func (b *browser) open(t *testing.T, page string, width int64, scheme string) (wrong []string) {
	t.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
	if err == nil {
		err = chromedp.Do(b.ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate("file://"+page))
	}
	if err == nil {
		wrong, err = chromedp.Run(b.ctx, chromedp.Evaluate[[]string](faults))
	}
	if err != nil {
		t.Fatal(err)
	}
	return wrong
}

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// How much of the matrix is played: so many drills, with the choices of a seed.
const (
	matrixRuns  = "GAMEDAY_TEST_RUNS"
	matrixSeed  = "GAMEDAY_TEST_SEED"
	matrixOnly  = "GAMEDAY_TEST_ONLY" // a pattern of what a play calls itself
	matrixUsual = 8
	stages      = 6 // at a time
)

// Who is killed.
const (
	nobodyDies   = "nobody"
	engineDies   = "engine"
	proxyDies    = "proxy"
	backstopDies = "backstop"
	bothDie      = "engine and backstop"
)

// When.
const (
	planned    = "planned"
	preflight  = "preflight"
	registered = "registered"
	injected   = "injected"
	effectSeen = "effect seen"
	firing     = "firing"
	acting     = "run started"
	healing    = "healing"
	healed     = "healed"
	judged     = "judged"
	anyMoment  = "any moment"
)

var moments = []string{planned, preflight, registered, injected, effectSeen, firing, acting, healing, healed, judged, anyMoment}

// play is one drill, and what is done to it.
type play struct {
	number         int
	fault          stageFault
	victim, moment string

	pause  time.Duration // after the moment
	random time.Duration // from the start, for any moment
	outage time.Duration // until the engine is started again
	wait   bool          // the engine stays away until the fault is gone
	abort  bool          // a person stops the drill after that
	raise  time.Duration // how long the alert takes
}

func (p play) String() string {
	return fmt.Sprintf("%03d %s, %s dies, %s", p.number, p.fault.name, p.victim, p.moment)
}

// victims are those that a fault on a way may depend on.
func victims(way string) []string {
	if way == ownWay {
		return []string{engineDies, proxyDies}
	}
	return []string{engineDies, backstopDies, bothDie}
}

// program is the drills of a seed: all combinations in an order of chance, again
// and again.
func program(runs int, seed uint64, only *regexp.Regexp) (all []play) {
	chance := rand.New(rand.NewPCG(seed, 0))
	for len(all) < runs {
		var round []play
		for _, f := range stageFaults {
			round = append(round, play{fault: f, victim: nobodyDies}, play{fault: f, victim: nobodyDies, moment: registered})
			for _, v := range victims(f.way) {
				for _, m := range moments {
					round = append(round, play{fault: f, victim: v, moment: m})
				}
			}
		}
		round = slices.DeleteFunc(round, func(p play) bool { return !only.MatchString(p.String()) })
		chance.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		all = append(all, round...)
	}
	for i := range all {
		all[i].number = i
		all[i].toss(chance)
	}
	return all[:runs]
}

func (p *play) toss(chance *rand.Rand) {
	ms := func(most int) time.Duration { return time.Duration(chance.IntN(most)) * time.Millisecond }
	p.pause, p.random, p.outage = ms(80), ms(12_000), ms(1_500)
	p.raise = ms(4_000)
	p.wait = chance.IntN(2) == 0 && p.victim == engineDies
	p.abort = chance.IntN(6) == 0 && p.victim != nobodyDies || p.victim == nobodyDies && p.moment == registered
}

func number(t *testing.T, variable string, usual uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The engine, its proxy and its backstops are killed at every step of a game day.
// Whatever dies, and when: every fault ends within a bound, and every verdict is
// one that the facts allow. The facts are those of an oracle that looks at the
// system itself.
func TestWhateverIsKilledEveryFaultEndsAndEveryVerdictIsTrue(t *testing.T) {
	t.Parallel()
	seed := number(t, matrixSeed, rand.Uint64N(1_000_000))
	runs := int(number(t, matrixRuns, matrixUsual))
	t.Logf("%s=%d %s=%d", matrixRuns, runs, matrixSeed, seed)
	plays := make(chan play, runs)
	for _, p := range program(runs, seed, regexp.MustCompile(os.Getenv(matrixOnly))) {
		plays <- p
	}
	close(plays)
	var tally tally
	var group sync.WaitGroup
	for n := range stages {
		group.Go(func() {
			s := newStage(t, temporalOf(t, n))
			s.start()
			for p := range plays {
				f := s.perform(p)
				tally.add(f)
				account(t, f)
			}
		})
	}
	group.Wait()
	t.Log(tally.String())
}

// temporalOf gives one stage of several a Temporal in a process of its own, so
// that what dies is the worker alone.
func temporalOf(t *testing.T, stage int) string {
	if stage != 1 {
		return ""
	}
	_, config := startCluster(t)
	return config
}

func account(t *testing.T, f *facts) {
	t.Helper()
	wrong := f.wrong()
	say := t.Logf
	if len(wrong) > 0 {
		say = t.Errorf
	}
	say("%s: %s (%s) after %s, healed after %s %s", f.play, verdictOf(f), why(f), f.drill.EndedAt.Sub(f.drill.StartedAt).Round(time.Second),
		f.took().Round(time.Millisecond), strings.Join(wrong, "; "))
	if len(wrong) > 0 {
		t.Logf("%s\nstrikes %v\nremedies %v\nspells %v\ninjections %+v", tell(f.drill), f.strikes, f.remedy, f.spells, f.drill.Evidence.Injections)
	}
}

func why(f *facts) string {
	if f.drill.Verdict == nil {
		return ""
	}
	return f.drill.Verdict.Reasons[0].Code
}

func verdictOf(f *facts) verdict.Name {
	if f.drill.Verdict == nil {
		return ""
	}
	return f.drill.Verdict.Verdict
}

// perform plays one drill and has its victim killed.
func (s *stage) perform(p play) *facts {
	s.t.Helper()
	way := s.address(p.fault.way)
	s.calm(way)
	s.shop.use(way, fmt.Sprint(p.number, "-", time.Now().UnixMilli()), p.raise)
	o := watchWay(way, p.fault.way == foreignWay)
	f := &facts{play: p}
	var started api.Started
	if err := s.post("/api/v1/drills", api.Drill{Gameday: p.fault.name}, &started); err != nil {
		s.t.Fatal(err)
	}
	if p.moment != "" && s.reach(p, started.ID, o, f) {
		time.Sleep(p.pause)
		s.strike(f, o)
	}
	f.drill = s.ending(started.ID)
	for end := time.Now().Add(healedWithin); o.ill() && time.Now().Before(end); {
		time.Sleep(lookEvery)
	}
	f.spells, f.remedy = o.stop(), s.shop.remedies()
	s.tidy(f)
	return f
}

// calm waits until nothing is left of the drill before.
func (s *stage) calm(way string) {
	s.t.Helper()
	s.shop.mu.Lock()
	s.shop.way = s.shop.standby
	s.shop.mu.Unlock()
	eventually(s.t, time.Minute, "the alert to be over, and the way to be well", func() error {
		s.shop.mu.Lock()
		raised := s.shop.raised
		s.shop.mu.Unlock()
		if !raised.IsZero() {
			return fmt.Errorf("it fires")
		}
		return ask(way, hangs)
	})
}

// reach waits for the moment, and reports that the drill came so far.
func (s *stage) reach(p play, id string, o *oracle, f *facts) bool {
	end := time.Now().Add(90 * time.Second)
	switch p.moment {
	case planned:
		return true
	case registered:
		return s.until(end, func() bool { return s.recorded(id) })
	case effectSeen:
		return s.until(end, o.ill)
	case healing:
		if !s.until(end, o.ill) {
			return false
		}
		time.Sleep(p.random / 10)
		s.abort(id, f)
		return true
	case anyMoment:
		time.Sleep(p.random)
		return true
	}
	event := map[string]string{preflight: "start", injected: "injected", firing: "raised", acting: "remedy", healed: "heal", judged: "end"}[p.moment]
	return s.until(end, func() bool {
		select {
		case told := <-s.shop.events:
			return told == event
		default:
			return false
		}
	})
}

func (s *stage) until(end time.Time, is func() bool) bool {
	for !is() {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(2 * time.Millisecond)
	}
	return true
}

// recorded: the audit file tells that the fault is about to be injected.
func (s *stage) recorded(id string) bool {
	text, err := os.ReadFile(filepath.Join(s.dir, "data", "audit.jsonl"))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(text) {
		var e audit.Entry
		if json.Unmarshal(line, &e) == nil && e.Run == id && e.Kind == audit.Acting {
			return true
		}
	}
	return false
}

func (s *stage) abort(id string, f *facts) {
	f.aborted = true
	// A drill that has ended can not be stopped; nothing else may be wrong.
	if err := s.post("/api/v1/drills/"+id+"/abort", api.Ask{Reason: "the test stops it"}, &struct{}{}); err != nil && !strings.Contains(err.Error(), "ended") && !strings.Contains(err.Error(), "EOF") {
		f.late = append(f.late, "it could not be stopped: "+err.Error())
	}
}

// backstopModes are what the engine's children do that end a fault.
var backstopModes = []string{"toxiproxy-guard", "process"}

func (s *stage) strike(f *facts, o *oracle) {
	p := f.play
	if p.victim != nobodyDies {
		f.strikes = append(f.strikes, time.Now())
	}
	switch p.victim {
	case proxyDies:
		signalAll(s.backstops("toxiproxy"), syscall.SIGKILL)
	case backstopDies:
		signalAll(s.backstops(backstopModes...), syscall.SIGKILL)
	case engineDies:
		s.process.kill()
		s.restart(f, o)
	case bothDie:
		s.killAll(backstopModes...)
		s.restart(f, o)
	}
	if p.abort && !f.aborted {
		s.abort(f.drillID(s), f)
	}
}

// killAll kills the engine and its backstops in one go, so that neither sees the
// end of the other: the engine is stopped first. Not the backstops, which the
// system lets go on when their parent dies.
func (s *stage) killAll(modes ...string) {
	s.t.Helper()
	children := s.backstops(modes...)
	signalAll([]int{s.process.cmd.Process.Pid}, syscall.SIGSTOP)
	signalAll(children, syscall.SIGKILL)
	s.process.kill()
}

func (s *stage) restart(f *facts, o *oracle) {
	s.t.Helper()
	time.Sleep(f.play.outage)
	if f.play.wait && !s.until(time.Now().Add(backstopWithin), func() bool { return !o.ill() }) {
		f.late = append(f.late, fmt.Sprintf("the fault was on %s after the engine's death", backstopWithin))
	}
	s.start()
	f.ready = time.Now()
}

// drillID is that of the newest drill.
func (f *facts) drillID(s *stage) string {
	var rows []struct{ ID string }
	if err := s.get("/api/v1/drills", &rows); err != nil || len(rows) == 0 {
		f.late = append(f.late, fmt.Sprint("no drill is listed: ", err))
		return ""
	}
	return rows[0].ID
}

// ending is the drill when it has ended.
func (s *stage) ending(id string) (d drills.Drill) {
	s.t.Helper()
	eventually(s.t, 4*time.Minute, "the drill to end", func() error {
		if err := s.get("/api/v1/drills/"+id, &d); err != nil {
			return err
		}
		if d.Phase != drills.Ended {
			time.Sleep(100 * time.Millisecond)
			return fmt.Errorf("it is %s", d.Phase)
		}
		return nil
	})
	return d
}

// tidy: nothing is left in the systems, and no child of the engine that watched
// over it.
func (s *stage) tidy(f *facts) {
	var left []json.RawMessage
	var err error
	nothing := func() bool { err = s.get("/api/v1/injections", &left); return err == nil && len(left) == 0 }
	if !s.until(time.Now().Add(10*time.Second), nothing) {
		f.late = append(f.late, fmt.Sprintf("left in the systems: %s %v", left, err))
	}
	if !s.until(time.Now().Add(5*time.Second), func() bool { return len(s.backstops(backstopModes...)) == 0 }) {
		f.late = append(f.late, "a backstop has outlived its fault")
	}
}

// tally counts.
type tally struct {
	mu       sync.Mutex
	verdicts map[string]int
	took     []time.Duration
	struck   int
	wrong    int
}

func (y *tally) add(f *facts) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.verdicts == nil {
		y.verdicts = map[string]int{}
	}
	y.verdicts[string(verdictOf(f))]++
	if len(f.spells) > 0 {
		y.took = append(y.took, f.took())
	}
	if len(f.strikes) > 0 {
		y.struck++
	}
	if len(f.wrong()) > 0 {
		y.wrong++
	}
}

func (y *tally) String() string {
	n := len(y.took)
	if n == 0 {
		return "no fault was seen"
	}
	slices.Sort(y.took)
	ms := func(i int) time.Duration { return y.took[i].Round(time.Millisecond) }
	return fmt.Sprintf("%v: %d killed, %d wrong; %d faults were seen, healed after p50 %s, p99 %s, max %s",
		y.verdicts, y.struck, y.wrong, n, ms(n/2), ms(n*99/100), ms(n-1))
}

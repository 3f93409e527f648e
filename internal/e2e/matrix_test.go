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
	usualSeed   = 13 // of the short form, the same each time: everybody dies once
	stages      = 6  // at a time
)

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

// The engine, its proxy, its backstops and the controller of Chaos Mesh are killed
// at every step of a game day. Whatever dies, and when: every fault ends within a bound, and every verdict is
// one that the facts allow. The facts are those of an oracle that looks at the
// system itself.
func TestWhateverIsKilledEveryFaultEndsAndEveryVerdictIsTrue(t *testing.T) {
	t.Parallel()
	runs, seed := int(number(t, matrixRuns, matrixUsual)), uint64(usualSeed)
	arena := arena{postgres: startPostgres(t)}
	faults := slices.Concat(stageFaults, databaseFaults)
	if os.Getenv(matrixRuns) != "" { // a cluster takes long to start
		seed = rand.Uint64N(1_000_000)
		arena.mesh = true
		faults = append(faults, meshFaults...)
	}
	seed = number(t, matrixSeed, seed)
	t.Logf("%s=%d %s=%d", matrixRuns, runs, matrixSeed, seed)
	queues := queue(program(faults, runs, seed, regexp.MustCompile(os.Getenv(matrixOnly))))
	var tally tally
	var group sync.WaitGroup
	for n := range stages {
		group.Go(func() {
			s := arena.stage(t, n)
			s.start()
			for _, p := range s.takes() {
				s.performAll(queues[p], &tally)
			}
		})
	}
	group.Wait()
	t.Log(tally.String())
}

// queue sorts plays by what a stage must have for them.
func queue(plays []play) map[string]chan play {
	queues := map[string]chan play{}
	for _, need := range []string{needsWire, needsMesh, needsNothing} {
		queues[need] = make(chan play, len(plays))
	}
	for _, p := range plays {
		queues[p.needs()] <- p
	}
	for _, q := range queues {
		close(q)
	}
	return queues
}

// takes are the queues that a stage works off, in this order.
func (s *stage) takes() (all []string) {
	if s.wire != nil {
		all = append(all, needsWire)
	}
	if s.mesh != nil {
		all = append(all, needsMesh)
	}
	return append(all, needsNothing)
}

func (s *stage) performAll(plays <-chan play, tally *tally) {
	for p := range plays {
		f := s.perform(p)
		tally.add(f)
		account(s.t, f)
	}
}

func account(t testing.TB, f *facts) {
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
	way := s.ways[p.fault.way]
	s.calm(way)
	serial := fmt.Sprint(p.number, "-", time.Now().UnixMilli())
	s.shop.use(way, serial, p.raise)
	s.spoil(p.flaw, serial)
	o := watchWay(way, slices.Contains([]string{foreignWay, databaseWay, meshWay}, p.fault.way))
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

// spoil has the remedy fail.
func (s *stage) spoil(flaw, serial string) {
	s.t.Helper()
	switch flaw {
	case idleRemedy:
		s.shop.mu.Lock()
		defer s.shop.mu.Unlock()
		s.shop.idle = true
	case silencedAlert:
		hush(s.t, s.alerts, "serial", serial)
	}
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
	case controllerDies:
		s.mesh.controller.kill()
		s.replaceController(f)
	case allDie:
		s.process.kill()
		s.mesh.controller.kill()
		s.replaceController(f)
		s.restart(f, o)
	case temporalGone:
		s.loseTemporal(f)
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
	within := backstopWithin
	if f.play.fault.way == meshWay {
		within += stageLasts // Chaos Mesh knows nothing of the engine
	}
	time.Sleep(f.play.outage)
	if f.play.wait && !s.until(time.Now().Add(within), func() bool { return !o.ill() }) {
		f.late = append(f.late, fmt.Sprintf("the fault was on %s after the engine's death", within))
	}
	s.start()
	f.ready = time.Now()
}

func (s *stage) loseTemporal(f *facts) {
	s.t.Helper()
	s.wire.cut()
	time.Sleep(f.play.outage)
	s.wire.mend()
	eventually(s.t, time.Minute, "the engine to be ready again", s.host.ready)
	f.ready = time.Now()
}

// replaceController does what a cluster does when a controller has died.
func (s *stage) replaceController(f *facts) {
	s.t.Helper()
	time.Sleep(f.play.outage)
	s.mesh.start()
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

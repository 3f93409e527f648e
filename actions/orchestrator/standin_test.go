// A stand-in for Orchestrator, which no package of the distributions that the
// tests run on has. It follows go/http/api.go and docs/topology-recovery.md of
// github.com/openark/orchestrator 3.2: its paths, its answers, a 500 for
// whatever it does not do, and what it refuses. It moves no real servers, so what
// Orchestrator does to MySQL is not tested here.
package orchestrator_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const user, password = "engine", "canary-5f11b0"

type standIn struct {
	*httptest.Server
	sync.Mutex
	servers  map[string]*mysqld // by address
	alias    string             // the name of the cluster that is orders
	calls    []string           // those that change the topology
	readOnly bool               // ReadOnly of its config
	before   func(http.ResponseWriter, *http.Request) bool
	hooks    bool // promoted servers are left to hooks: ApplyMySQLPromotionAfterMasterFailover is false
}

type mysqld struct {
	cluster, source string
	dead, readOnly  bool
}

// newStandIn looks after db-1, and db-2 and db-3, which copy it.
func newStandIn(t *testing.T) *standIn {
	t.Helper()
	s := &standIn{}
	s.reset()
	api := http.NewServeMux()
	api.HandleFunc("GET /api/master/{hint}", s.master)
	api.HandleFunc("GET /api/cluster/{hint}", s.cluster)
	api.HandleFunc("GET /api/replication-analysis/{hint}", s.analysis)
	api.HandleFunc("GET /api/graceful-master-takeover-auto/{host}/{port}/{toHost}/{toPort}", s.changing(s.graceful))
	for _, path := range []string{"", "/{toHost}/{toPort}"} {
		api.HandleFunc("GET /api/recover/{host}/{port}"+path, s.changing(s.recover))
	}
	api.HandleFunc("GET /api/force-master-failover/{host}/{port}", s.changing(s.failover))
	api.HandleFunc("GET /api/force-master-takeover/{host}/{port}/{toHost}/{toPort}", s.changing(s.failover))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			http.Error(w, "Not Authorized", http.StatusUnauthorized)
			return
		}
		s.Lock()
		before := s.before
		s.Unlock()
		if before != nil && before(w, r) {
			return
		}
		s.Lock()
		defer s.Unlock()
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *standIn) reset() {
	s.Lock()
	defer s.Unlock()
	s.alias, s.calls, s.readOnly, s.hooks, s.before = "db-1:3306", nil, false, false, nil
	s.servers = map[string]*mysqld{
		"db-1:3306": {cluster: s.alias},
		"db-2:3306": {cluster: s.alias, source: "db-1:3306", readOnly: true},
		"db-3:3306": {cluster: s.alias, source: "db-1:3306", readOnly: true},
	}
}

func (s *standIn) change(change func()) {
	s.Lock()
	defer s.Unlock()
	change()
}

func (s *standIn) kill(address string) { s.change(func() { s.servers[address].dead = true }) }

// state is who copies whom, and who takes writes.
func (s *standIn) state() (text string) {
	s.Lock()
	defer s.Unlock()
	for _, address := range slices.Sorted(maps.Keys(s.servers)) {
		text += fmt.Sprintf("%s %+v; ", address, *s.servers[address])
	}
	return text + fmt.Sprint(s.calls)
}

func (s *standIn) named(hint string) string {
	if hint == "orders" {
		return s.alias
	}
	if m, known := s.servers[hint]; known {
		return m.cluster
	}
	return ""
}

// masterOf is the server of a cluster that copies nobody.
func (s *standIn) masterOf(cluster string) string {
	for _, address := range slices.Sorted(maps.Keys(s.servers)) {
		if m := s.servers[address]; m.cluster == cluster && m.source == "" {
			return address
		}
	}
	return ""
}

func key(address string) map[string]any {
	host, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	return map[string]any{"Hostname": host, "Port": number}
}

func (s *standIn) instance(address string) map[string]any {
	m := s.servers[address]
	return map[string]any{
		"Key": key(address), "MasterKey": key(m.source), "ClusterName": m.cluster, "ReadOnly": m.readOnly, "IsLastCheckValid": !m.dead,
		"SlaveLagSeconds": map[string]any{"Int64": 0, "Valid": m.source != ""}, "Version": "8.0.36", "IsUpToDate": true,
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, format string, args ...any) {
	answer(w, http.StatusInternalServerError, map[string]any{"Code": "ERROR", "Message": fmt.Sprintf(format, args...), "Details": nil})
}

func (s *standIn) master(w http.ResponseWriter, r *http.Request) {
	if m := s.masterOf(s.named(r.PathValue("hint"))); m != "" {
		answer(w, http.StatusOK, s.instance(m))
		return
	}
	refuse(w, "No masters found for %s", r.PathValue("hint"))
}

func (s *standIn) cluster(w http.ResponseWriter, r *http.Request) {
	all, cluster := []any{}, s.named(r.PathValue("hint"))
	for _, address := range slices.Sorted(maps.Keys(s.servers)) {
		if s.servers[address].cluster == cluster {
			all = append(all, s.instance(address))
		}
	}
	answer(w, http.StatusOK, all)
}

func (s *standIn) analysis(w http.ResponseWriter, r *http.Request) {
	found := []any{}
	if m := s.masterOf(s.named(r.PathValue("hint"))); m != "" && s.servers[m].dead {
		found = append(found, map[string]any{"AnalyzedInstanceKey": key(m), "Analysis": "DeadMaster", "Description": "Master cannot be reached by orchestrator and none of its replicas is replicating"})
	}
	answer(w, http.StatusOK, map[string]any{"Code": "OK", "Message": "Analysis", "Details": found})
}

func (s *standIn) changing(change func(w http.ResponseWriter, from, to string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.readOnly {
			refuse(w, "Unauthorized")
			return
		}
		s.calls = append(s.calls, strings.TrimPrefix(r.URL.Path, "/api/"))
		to := ""
		if r.PathValue("toHost") != "" {
			to = r.PathValue("toHost") + ":" + r.PathValue("toPort")
		}
		change(w, r.PathValue("host")+":"+r.PathValue("port"), to)
	}
}

func (s *standIn) graceful(w http.ResponseWriter, hint, to string) {
	from := s.masterOf(s.named(hint))
	switch {
	case from == "":
		refuse(w, "Unable to determine cluster name for %s", hint)
	case s.servers[to] == nil || s.servers[to].source != from:
		refuse(w, "GracefulMasterTakeover: indicated designated instance %s must be directly replicating from the master %s", to, from)
	case s.servers[from].dead:
		refuse(w, "dial tcp: connection refused")
	default:
		s.promote(w, from, to)
		s.servers[from].source, s.servers[from].cluster, s.servers[from].readOnly = to, to, true
	}
}

func (s *standIn) recover(w http.ResponseWriter, from, to string) {
	if m := s.servers[from]; m == nil || !m.dead {
		refuse(w, "Recovery not attempted")
		return
	}
	s.failover(w, from, to)
}

func (s *standIn) failover(w http.ResponseWriter, hint, to string) {
	from := s.masterOf(s.named(hint))
	for _, address := range slices.Sorted(maps.Keys(s.servers)) {
		if m := s.servers[address]; m.source == from && (to == "" || to == address) {
			s.promote(w, from, address)
			return
		}
	}
	refuse(w, "Recovery attempted yet no replica promoted")
}

// promote leaves the old master in a cluster of its own.
func (s *standIn) promote(w http.ResponseWriter, from, to string) {
	for _, m := range s.servers {
		if m.source == from {
			m.source, m.cluster = to, to
		}
	}
	s.servers[to].source, s.servers[to].readOnly = "", s.hooks
	s.alias = to
	answer(w, http.StatusOK, map[string]any{"Code": "OK", "Message": "successor promoted", "Details": map[string]any{"SuccessorKey": key(to)}})
}

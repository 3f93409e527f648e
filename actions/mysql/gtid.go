package mysql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// gtid is one of MariaDB's: domain, server, number. Within a domain the numbers
// grow over all servers.
type gtid struct{ domain, server, number uint64 }

func (g gtid) String() string { return fmt.Sprintf("%d-%d-%d", g.domain, g.server, g.number) }

// gtids are a position, with one of each domain, or the state of a binary log,
// with one of each domain and server.
type gtids []gtid

func (all gtids) String() string {
	texts := make([]string, len(all))
	for i, g := range all {
		texts[i] = g.String()
	}
	return strings.Join(texts, ",")
}

// parseGTIDs reads a position such as 0-1-42,1-1-7; of MySQL's form it is an error.
func parseGTIDs(text string) (all gtids, err error) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		numbers := strings.Split(part, "-")
		if len(numbers) != 3 {
			return nil, fmt.Errorf("%q is no GTID of MariaDB", part)
		}
		var n [3]uint64
		for i, number := range numbers {
			if n[i], err = strconv.ParseUint(number, 10, 64); err != nil {
				return nil, fmt.Errorf("%q is no GTID of MariaDB: %w", part, err)
			}
		}
		all = append(all, gtid{n[0], n[1], n[2]})
	}
	return all, nil
}

// number is how far a position has come in a domain.
func (all gtids) number(domain uint64) uint64 {
	var most uint64
	for _, g := range all {
		if g.domain == domain {
			most = max(most, g.number)
		}
	}
	return most
}

// covers: a position is as far as another in each domain.
func (all gtids) covers(other gtids) bool {
	return !slices.ContainsFunc(other, func(g gtid) bool { return all.number(g.domain) < g.number })
}

// has: the state of a binary log knows what that server wrote.
func (all gtids) has(one gtid) bool {
	return slices.ContainsFunc(all, func(g gtid) bool {
		return g.domain == one.domain && g.server == one.server && g.number >= one.number
	})
}

// errant are transactions that a replica wrote by itself: in its binary log by
// its own id, and beyond what came from its source, or unknown to others who
// copy the same one. What it wrote while it was the primary itself is in all of
// their logs.
func errant(s status, others []status) (own gtids) {
	for _, g := range s.state {
		if g.server != uint64(s.serverID) {
			continue
		}
		beyond := g.number > s.applied.number(g.domain)
		unknown := slices.ContainsFunc(others, func(o status) bool { return !o.state.has(g) })
		if beyond || unknown {
			own = append(own, g)
		}
	}
	return own
}

package ledger

import (
	"encoding/binary"

	"github.com/bits-and-blooms/bloom/v3"
)

// Members tell what belongs to a population, in two bytes for each: all that
// does, and one in a thousand of what does not.
type Members struct{ *bloom.BloomFilter }

const mistaken = 0.001

// MembersOf are the targets with these IDs; nil for none.
func MembersOf(ids []string) *Members {
	if len(ids) == 0 {
		return nil
	}
	m := &Members{bloom.NewWithEstimates(uint(len(ids)), mistaken)}
	for _, id := range ids {
		m.Add(memberKey(idOf(id)))
	}
	return m
}

// UnmarshalJSON reads them.
func (m *Members) UnmarshalJSON(text []byte) error {
	m.BloomFilter = &bloom.BloomFilter{}
	return m.BloomFilter.UnmarshalJSON(text)
}

// among counts the targets that belong to the population.
func (m *Members) among(targets []uint64) (n int) {
	if m == nil {
		return 0
	}
	for _, id := range targets {
		if m.Test(memberKey(id)) {
			n++
		}
	}
	return n
}

func memberKey(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

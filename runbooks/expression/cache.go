package expression

import "sync"

// Cache keeps compiled programs. It is safe for concurrent use.
type Cache struct {
	mu       sync.Mutex
	programs map[cacheKey]*Program
}

type cacheKey struct{ scope, source string }

// maxPrograms bounds the memory; past it the cache starts over.
const maxPrograms = 50_000

// Get is the program of a source within a scope, which names the environment
// that it was compiled for. What does not compile is tried again each time.
func (c *Cache) Get(scope, source string, compile func() (*Program, error)) (*Program, error) {
	key := cacheKey{scope, source}
	c.mu.Lock()
	program := c.programs[key]
	c.mu.Unlock()
	if program != nil {
		return program, nil
	}
	program, err := compile()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.programs == nil || len(c.programs) >= maxPrograms {
		c.programs = map[cacheKey]*Program{}
	}
	c.programs[key] = program
	return program, nil
}

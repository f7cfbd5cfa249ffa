//go:build chaos

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// counts are what was done, in the order in which it was first done.
type counts struct {
	mu    sync.Mutex
	names []string
	by    map[string]int
}

func (c *counts) add(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]int{}
	}
	if _, known := c.by[name]; !known {
		c.names = append(c.names, name)
	}
	c.by[name] += n
}

func (c *counts) get(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[name]
}

// table shows everything that was counted, and what became of callbacks.
func (w *world) table() string {
	var text strings.Builder
	line := func(name string, value any) { fmt.Fprintf(&text, "  %-52s %v\n", name, value) }
	fmt.Fprintf(&text, "\nseed %d, %s\n", w.seed, time.Since(w.begun).Round(time.Second))
	w.counts.mu.Lock()
	for _, name := range w.counts.names {
		line(name, w.counts.by[name])
	}
	w.counts.mu.Unlock()
	w.balancer.mu.Lock()
	defer w.balancer.mu.Unlock()
	for _, source := range slices.Sorted(maps.Keys(w.balancer.answers)) {
		for _, outcome := range slices.Sorted(maps.Keys(w.balancer.answers[source])) {
			line("callbacks of "+source+": "+outcome, w.balancer.answers[source][outcome])
		}
	}
	return text.String()
}

// spread shows lengths of time by their middle and their end.
func spread(lengths []time.Duration) string {
	if len(lengths) == 0 {
		return "none"
	}
	slices.Sort(lengths)
	at := func(share float64) time.Duration {
		return lengths[int(share*float64(len(lengths)-1))].Round(100 * time.Millisecond)
	}
	return fmt.Sprintf("p50 %s, p99 %s, max %s (%d)", at(0.5), at(0.99), at(1), len(lengths))
}

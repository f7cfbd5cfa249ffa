package simulation

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// tally counts what was simulated.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	// lags are how long after they were due conversations were closed, by what went wrong meanwhile.
	lags map[string][]lag
}

// lag is how long after it was due a conversation was closed, and how long after it the operator promises to have closed
// it at the latest if nothing fails but callbacks.
type lag struct{ took, promised time.Duration }

// total is the tally of all seeds.
var total tally

// What is counted, in the order in which it is reported.
var counted = []string{
	"seeds", "virtual hours", "conversations", "messages of people", "acts of people", "requests to Twilio", "requests that failed", "answers lost",
	"callbacks", "callbacks lost", "accepts that were followed", "made active again at rest", "endings under a limit", "policies in an outage", "forged callbacks", "calls", "events owed to others", "events forwarded", "forwardings that failed", "crashes", "crashes at a write", "terminations", "standstills",
	"changes of leader", "edits of policies", "edits of workspaces", "rotations of the token", "deletions of Secrets",
	"callbacks left to be put back by hand",
	"texts sent", "conversations closed", "violations",
}

// Circumstances of a closing, in the order in which they are reported.
const (
	arrived = "no faults, Twilio calls when it is due"
	missed  = "no faults, no call when it is due"
	faulty  = "under faults"
)

func (c *tally) count(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts, c.lags = map[string]int{}, map[string][]lag{}
	}
	c.counts[what] += n
}

func (c *tally) closed(circumstances string, one lag) {
	c.count("conversations closed", 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lags[circumstances] = append(c.lags[circumstances], one)
}

// add adds the tally of a seed.
func (c *tally) add(seed *tally) {
	for what, n := range seed.counts {
		c.count(what, n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for circumstances, lags := range seed.lags {
		c.lags[circumstances] = append(c.lags[circumstances], lags...)
	}
}

// report writes the tables.
func (c *tally) report(w io.Writer) {
	if c.counts["seeds"] == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, what := range counted {
		_, _ = fmt.Fprintf(table, "%s\t%d\t\n", what, c.counts[what])
	}
	_ = table.Flush()
	if len(c.lags) == 0 {
		return
	}
	_, _ = fmt.Fprintln(w, "\nFrom due to closed:")
	_, _ = fmt.Fprintln(table, "\tconversations\tp50\tp99\tmax\tbeyond the promise\t")
	for _, circumstances := range []string{arrived, missed, faulty} {
		lags := c.lags[circumstances]
		if len(lags) == 0 {
			continue
		}
		slices.SortFunc(lags, func(a, b lag) int { return int(a.took - b.took) })
		at := func(share float64) time.Duration {
			return lags[int(share*float64(len(lags)-1))].took.Round(100 * time.Millisecond)
		}
		beyond := time.Duration(0)
		for _, one := range lags {
			beyond = max(beyond, one.took-one.promised)
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t\n", circumstances, len(lags), at(0.5), at(0.99), at(1), beyond.Round(100*time.Millisecond))
	}
	_ = table.Flush()
}

package metrics

import "sync"

// otherValue stands for the values of a label that are too many.
const otherValue = "other"

// boundedLabel keeps a label to a number of values. The first ones are kept as they are.
type boundedLabel struct {
	max int

	mu   sync.RWMutex
	seen map[string]struct{}
}

func newBoundedLabel(limit int) *boundedLabel {
	return &boundedLabel{max: limit, seen: make(map[string]struct{}, limit)}
}

// value returns v, or otherValue if there are too many values already.
func (b *boundedLabel) value(v string) string {
	b.mu.RLock()
	_, known := b.seen[v]
	b.mu.RUnlock()
	if known {
		return v
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.seen[v]; !known {
		if len(b.seen) >= b.max {
			return otherValue
		}
		b.seen[v] = struct{}{}
	}
	return v
}

package twiliosim

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// resource is what every Twilio resource has: a SID and a place in the order of creation.
type resource struct {
	sid      string
	sequence int64
}

func (r resource) id() string      { return r.sid }
func (r resource) position() int64 { return r.sequence }

// identified is implemented by everything that embeds resource.
type identified interface {
	id() string
	position() int64
}

// table holds resources by SID and in the order of their creation.
type table[T identified] struct {
	bySID map[string]T
	order []T
}

func (t *table[T]) add(v T) {
	if t.bySID == nil {
		t.bySID = map[string]T{}
	}
	t.bySID[v.id()] = v
	t.order = append(t.order, v)
}

func (t *table[T]) get(sid string) (T, bool) {
	v, ok := t.bySID[sid]
	return v, ok
}

func (t *table[T]) remove(v T) {
	delete(t.bySID, v.id())
	if i, ok := slices.BinarySearchFunc(t.order, v.position(), func(e T, at int64) int {
		return cmp.Compare(e.position(), at)
	}); ok {
		t.order = slices.Delete(t.order, i, i+1)
	}
}

// newResource makes the next SID with the given two-letter prefix. SIDs depend on the account and on what was made
// before only, so a run can be repeated exactly.
func (s *Simulator) newResource(prefix string) resource {
	s.sequence++
	return resource{sid: prefix + digest(fmt.Sprint(s.accountSID, prefix, s.sequence)), sequence: s.sequence}
}

// digest is 32 hexadecimal digits that depend on the seed alone.
func digest(seed string) string {
	sum := sha256.Sum256([]byte(seed))
	return hex.EncodeToString(sum[:16])
}

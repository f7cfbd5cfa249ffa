package credentials

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// nameSet is a set of names that somebody waits for. Adding never blocks, and a name is in it once however often it is
// added.
type nameSet struct {
	mu    sync.Mutex
	names map[types.NamespacedName]struct{}
	// added holds a token while there may be names that the waiter has not seen.
	added chan struct{}
}

func newNameSet() *nameSet {
	return &nameSet{names: make(map[types.NamespacedName]struct{}), added: make(chan struct{}, 1)}
}

func (n *nameSet) add(name types.NamespacedName) {
	n.mu.Lock()
	n.names[name] = struct{}{}
	n.mu.Unlock()
	select {
	case n.added <- struct{}{}:
	default:
	}
}

func (n *nameSet) remove(name types.NamespacedName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.names, name)
}

// list returns the names in order, so that the same changes are told in the same order each time.
func (n *nameSet) list() []types.NamespacedName {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.SortedFunc(maps.Keys(n.names), func(a, b types.NamespacedName) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
}

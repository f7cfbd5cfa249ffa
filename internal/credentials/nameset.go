package credentials

import (
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

// list returns the names in no particular order.
func (n *nameSet) list() []types.NamespacedName {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := make([]types.NamespacedName, 0, len(n.names))
	for name := range n.names {
		names = append(names, name)
	}
	return names
}

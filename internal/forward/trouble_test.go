package forward

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestTroublesAreToldByWorkspace(t *testing.T) {
	known := newTroubles()
	for i := range 20 {
		known.lost(fmt.Sprintf("WS%02d", 19-i), corev1.ObjectReference{}, theirs, troubleFull)
	}
	var told []string
	for _, one := range known.take() {
		told = append(told, one.workspaceSID)
	}
	if len(told) != 20 || !slices.IsSorted(told) {
		t.Errorf("told of %q, want 20 workspaces in order", told)
	}
}

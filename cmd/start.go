package main

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
)

// start runs the manager until the context ends. As long as the manager's cache has not synced, which without an API
// server it never does, its Start does not end with the context but spins
// (controller-runtime v0.25, runnableGroup.Start). Nothing is served then, so there is nothing to drain either.
func start(ctx context.Context, mgr ctrl.Manager) error {
	synced := make(cacheSynced)
	if err := mgr.Add(synced); err != nil {
		return fmt.Errorf("adding the note that the cache has synced: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		select {
		case <-synced:
			err = <-ended
		default:
			ctrl.Log.Info("Stopped before the cache had synced")
		}
	}
	if err != nil {
		return fmt.Errorf("running: %w", err)
	}
	return nil
}

// cacheSynced is a runnable that is closed when the manager's cache has synced: the manager starts it then.
type cacheSynced chan struct{}

// NeedLeaderElection is false: it is about this replica.
func (cacheSynced) NeedLeaderElection() bool { return false }

// Start closes it.
func (c cacheSynced) Start(context.Context) error {
	close(c)
	return nil
}

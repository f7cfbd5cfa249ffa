package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

const (
	// sweepPageSize is the largest page of a task list (https://www.twilio.com/docs/taskrouter/api/task).
	sweepPageSize = 1000

	// sweepTimeout bounds the sweep of one workspace, so that one that hangs does not keep the others waiting for ever.
	sweepTimeout = 5 * time.Minute

	// countsInterval is how often the counts in a policy's status are written at most.
	countsInterval = time.Minute
)

// Sweeper has the leader list the tasks of every workspace at an interval, and look at the conversations that no event
// has announced: so that a lost event costs a sweep interval, and not the conversation. Lists cost one call for a
// thousand tasks; a conversation that the leader has a plan for costs nothing.
type Sweeper struct {
	// Client reads policies from the cache and writes the counts into their status.
	Client client.Client
	// Conversations is where found conversations go.
	Conversations *ConversationReconciler
	// Clock times the sweeps.
	Clock clock.WithTicker
	// Interval between two sweeps.
	Interval time.Duration
	// Swept observes a sweep of all workspaces: its length, and how many conversations it has put into the queue.
	Swept func(elapsed time.Duration, found int)

	// counted is when a policy's counts were last written, notBefore when Twilio wants to be asked again.
	counted   map[types.NamespacedName]time.Time
	notBefore map[string]time.Time
	// read remembers, by workspace and task SID, the tasks that a list gave without their attributes.
	read map[string]map[string]sweptTask
}

// sweptTask is what a sweep needs to know of a task.
type sweptTask struct {
	status          string
	conversationSID string
	claimed         bool
}

// NeedLeaderElection is true: one replica sweeps.
func (s *Sweeper) NeedLeaderElection() bool { return true }

// Start sweeps until the context ends.
func (s *Sweeper) Start(ctx context.Context) error {
	s.counted, s.notBefore = map[types.NamespacedName]time.Time{}, map[string]time.Time{}
	s.read = map[string]map[string]sweptTask{}
	ticker := s.Clock.NewTicker(s.Interval)
	defer ticker.Stop()
	for {
		s.sweep(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// sweep sweeps every workspace that a policy in force owns.
func (s *Sweeper) sweep(ctx context.Context) {
	logger := log.FromContext(ctx)
	var policies v1alpha1.InactivityPolicyList
	if err := s.Client.List(ctx, &policies); err != nil {
		logger.Error(err, "Listing the policies for the sweep failed")
		return
	}
	byWorkspace := map[string][]v1alpha1.InactivityPolicy{}
	for _, policy := range policies.Items {
		if workspace := policy.Status.Workspace; workspace != nil {
			byWorkspace[workspace.SID] = append(byWorkspace[workspace.SID], policy)
		}
	}
	found, started := 0, s.Clock.Now()
	for _, workspaceSID := range slices.Sorted(maps.Keys(byWorkspace)) {
		owner := ownerOf(byWorkspace[workspaceSID])
		if owner == nil || owner.Spec.Suspend || owner.Status.EffectiveSince == nil || s.Clock.Now().Before(s.notBefore[workspaceSID]) {
			continue
		}
		queued, err := s.sweepWorkspace(ctx, workspaceSID, owner)
		if wait, told := twilio.RetryAfter(err); told {
			s.notBefore[workspaceSID] = s.Clock.Now().Add(wait)
		}
		if err != nil && ctx.Err() == nil {
			logger.Error(err, "Sweeping failed", "workspace", workspaceSID)
		}
		found += queued
	}
	s.Swept(s.Clock.Since(started), found)
}

// sweepWorkspace lists the tasks of a workspace and queues the conversations that have to be looked at. Tasks that have
// ended within the last minutes are listed too: an ending may have been cut off behind them. It returns how many
// conversations it has queued.
func (s *Sweeper) sweepWorkspace(ctx context.Context, workspaceSID string, owner *v1alpha1.InactivityPolicy) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	twilioClient, err := s.Conversations.clientFor(owner)
	if err != nil {
		return 0, err
	}
	tasks, err := twilioClient.ListTasks(ctx, workspaceSID, twilio.TaskQuery{
		Statuses: []string{string(inactivity.TaskAssigned), string(inactivity.TaskWrapping), string(inactivity.TaskCompleted)},
		PageSize: sweepPageSize,
	})
	if err != nil {
		return 0, fmt.Errorf("listing the tasks of workspace %s: %w", workspaceSID, err)
	}
	swept := s.describe(ctx, twilioClient, workspaceSID, tasks)

	open := map[ConversationKey]bool{}  // with an accepted task
	known := map[ConversationKey]bool{} // to be remembered
	for _, task := range swept {
		key := ConversationKey{WorkspaceSID: workspaceSID, ConversationSID: task.conversationSID}
		switch {
		case task.conversationSID == "":
		case task.status == string(inactivity.TaskAssigned):
			open[key], known[key] = true, true
		case task.claimed:
			known[key] = true
		}
	}
	s.Conversations.plans.retain(workspaceSID, known)
	return s.enqueueUnplanned(owner, known, open), s.writeCounts(ctx, owner, s.count(open))
}

// enqueueUnplanned queues the conversations that the leader has no plan for, or whose plan is overdue or was made for
// another state of the policy. It returns how many.
func (s *Sweeper) enqueueUnplanned(owner *v1alpha1.InactivityPolicy, known, open map[ConversationKey]bool) int {
	found := 0
	now := s.Clock.Now()
	for key := range known {
		planned, looked := s.Conversations.plans.get(key)
		current := looked && planned.generation == owner.Generation && planned.policy == client.ObjectKeyFromObject(owner)
		overdue := now.After(planned.lookAt) && (open[key] || planned.failed)
		if !current || overdue {
			s.Conversations.enqueueFound(key)
			found++
		}
	}
	return found
}

// count counts the open conversations, and which of them are held or due by the last look at them.
func (s *Sweeper) count(open map[ConversationKey]bool) v1alpha1.ConversationCounts {
	var counts v1alpha1.ConversationCounts
	for key := range open {
		counts.Open++
		planned, _ := s.Conversations.plans.get(key)
		if planned.held {
			counts.Held++
		}
		if planned.due || !planned.lookAt.IsZero() && s.Clock.Now().After(planned.lookAt) {
			counts.Due++
		}
	}
	return counts
}

// describe returns what the sweep needs to know of the tasks. A task that the list gave without its attributes is read
// on its own, once for each status it has; one that cannot be read now is left to the next sweep.
func (s *Sweeper) describe(ctx context.Context, reader TaskClient, workspaceSID string, tasks []twilio.Task) []sweptTask {
	swept := make([]sweptTask, 0, len(tasks))
	read := map[string]sweptTask{}
	failed := 0
	for _, task := range tasks {
		if task.Attributes != "" {
			swept = append(swept, toSwept(task))
			continue
		}
		before, found := s.read[workspaceSID][task.SID]
		if !found || before.status != task.AssignmentStatus {
			seen, err := reader.GetTask(ctx, workspaceSID, task.SID)
			if twilio.IsNotFound(err) {
				continue
			}
			if err != nil {
				failed++
				continue
			}
			before = toSwept(seen)
		}
		read[task.SID] = before
		swept = append(swept, before)
	}
	s.read[workspaceSID] = read
	if failed > 0 {
		log.FromContext(ctx).Info("Some tasks could not be read, and are left to the next sweep", "workspace", workspaceSID, "tasks", failed)
	}
	return swept
}

// toSwept reads a task's attributes. Attributes that cannot be read belong to no conversation of ours.
func toSwept(task twilio.Task) sweptTask {
	attributes, err := inactivity.ParseTaskAttributes(task.Attributes)
	if err != nil {
		return sweptTask{status: task.AssignmentStatus}
	}
	return sweptTask{
		status:          task.AssignmentStatus,
		conversationSID: attributes.ConversationSID,
		claimed:         attributes.Claim != nil,
	}
}

// writeCounts writes the counts into the policy's status when they have changed, at most once a minute.
func (s *Sweeper) writeCounts(ctx context.Context, owner *v1alpha1.InactivityPolicy, counts v1alpha1.ConversationCounts) error {
	if before := owner.Status.Conversations; before != nil && *before == counts {
		return nil
	}
	name := client.ObjectKeyFromObject(owner)
	now := s.Clock.Now()
	if now.Sub(s.counted[name]) < countsInterval {
		return nil
	}
	changed := owner.DeepCopy()
	changed.Status.Conversations = &counts
	if err := s.Client.Status().Patch(ctx, changed, client.MergeFrom(owner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the conversation counts of policy %s: %w", name, err)
	}
	s.counted[name] = now
	return nil
}

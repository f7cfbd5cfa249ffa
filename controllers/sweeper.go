package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

	// concurrentSweeps is how many workspaces are swept at a time.
	concurrentSweeps = 8

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
	// Look has a policy looked at, because what it says of Twilio may not be true any more.
	Look func(types.NamespacedName)
	// Clock times the sweeps.
	Clock clock.WithTicker
	// Interval between two sweeps.
	Interval time.Duration
	// Swept observes a sweep of all workspaces: its length, and how many conversations it has put into the queue.
	Swept func(elapsed time.Duration, found int)

	// remembered is what earlier sweeps have left, by workspace.
	remembered map[string]*sweepMemory
}

// sweepMemory is what the sweeps of a workspace leave for the next one.
type sweepMemory struct {
	// counted is when a policy's counts were last written, notBefore when Twilio wants to be asked again.
	counted   map[types.NamespacedName]time.Time
	notBefore time.Time
	// read are the tasks that a list gave without their attributes, by SID.
	read map[string]readTask
}

// readTask is a task that was read on its own: its version of then, and when that was by Twilio's clock.
type readTask struct {
	inactivity.Task
	updated, at time.Time
}

// isStill reports whether a task in a list is as it was when it was read. Twilio's times are whole seconds: what was changed in
// the second in which it was read may have been changed again in the same.
func (r readTask) isStill(listed twilio.Task) bool {
	const slack = 2 * time.Second // for two of Twilio's clocks
	return string(r.Status) == listed.AssignmentStatus && r.updated.Equal(listed.DateUpdated) && r.at.Sub(r.updated) >= slack
}

// NeedLeaderElection is true: one replica sweeps.
func (s *Sweeper) NeedLeaderElection() bool { return true }

// Start sweeps until the context ends.
func (s *Sweeper) Start(ctx context.Context) error {
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

// sweep sweeps every workspace that a policy in force owns, several at a time: one that Twilio does not answer for must not
// keep the others waiting.
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
	var found atomic.Int64
	started, inForce := s.Clock.Now(), map[string]bool{}
	remembered := map[string]*sweepMemory{}
	var sweeps errgroup.Group
	sweeps.SetLimit(concurrentSweeps)
	for _, workspaceSID := range slices.Sorted(maps.Keys(byWorkspace)) {
		shared := s.Conversations.Compiled.share(byWorkspace[workspaceSID])
		inForce[workspaceSID] = shared.anyInForce()
		memory := s.remembered[workspaceSID]
		if memory == nil {
			memory = &sweepMemory{counted: map[types.NamespacedName]time.Time{}}
		}
		remembered[workspaceSID] = memory
		if !inForce[workspaceSID] || s.Clock.Now().Before(memory.notBefore) {
			continue
		}
		sweeps.Go(func() error {
			queued, err := s.sweepWorkspace(ctx, workspaceSID, shared, memory)
			if wait, told := twilio.RetryAfter(err); told {
				memory.notBefore = s.Clock.Now().Add(wait)
			}
			if err != nil && ctx.Err() == nil {
				logger.Error(err, "Sweeping failed", "workspace", workspaceSID)
			}
			found.Add(int64(queued))
			return nil
		})
	}
	_ = sweeps.Wait() // each has logged its own error
	s.remembered = remembered
	s.tellOutages(policies.Items, inForce)
	s.Swept(s.Clock.Since(started), int(found.Load()))
}

// tellOutages has the policies looked at for which Twilio has begun or ceased to fail, as far as their status says so.
func (s *Sweeper) tellOutages(policies []v1alpha1.InactivityPolicy, inForce map[string]bool) {
	concerns := func(one work, policy *v1alpha1.InactivityPolicy) bool {
		if one.kind == configuring {
			return one.policy == client.ObjectKeyFromObject(policy)
		}
		return policy.Status.Workspace != nil && one.workspaceSID == policy.Status.Workspace.SID
	}
	changed := s.Conversations.Outages.changed(s.Clock.Now(), func(one work) bool {
		return inForce[one.workspaceSID] || one.kind == configuring &&
			slices.ContainsFunc(policies, func(policy v1alpha1.InactivityPolicy) bool { return concerns(one, &policy) })
	})
	for i := range policies {
		if slices.ContainsFunc(changed, func(one work) bool { return concerns(one, &policies[i]) }) {
			s.Look(client.ObjectKeyFromObject(&policies[i]))
		}
	}
}

// sweepWorkspace lists the tasks of a workspace and queues the conversations that have to be looked at. Tasks that have
// ended within the last minutes are listed too: an ending may have been cut off behind them. It returns how many
// conversations it has queued.
func (s *Sweeper) sweepWorkspace(ctx context.Context, workspaceSID string, shared workspacePolicies, memory *sweepMemory) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	var clock twilio.ServerTime
	ctx = twilio.WithServerTime(ctx, &clock)
	twilioClient, err := s.Conversations.reader(shared)
	if err != nil {
		return 0, err
	}
	tasks, err := twilioClient.ListTasks(ctx, workspaceSID, twilio.TaskQuery{
		Statuses: []string{string(inactivity.TaskAssigned), string(inactivity.TaskWrapping), string(inactivity.TaskCompleted)},
		PageSize: sweepPageSize,
	})
	s.Conversations.Outages.observe(sweepingOf(workspaceSID), s.Clock.Now(), err)
	if err != nil {
		return 0, fmt.Errorf("listing the tasks of workspace %s: %w", workspaceSID, err)
	}
	now := func() time.Time {
		if latest, known := clock.Latest(); known {
			return latest
		}
		return s.Clock.Now()
	}
	swept := s.group(workspaceSID, memory.describe(ctx, twilioClient, workspaceSID, tasks, now), shared, now())
	listed := make(map[ConversationKey]bool, len(swept))
	for _, conversation := range swept {
		listed[conversation.key] = true
	}
	if !s.Conversations.plans.retain(workspaceSID, listed) {
		// Whatever conversation has met an outage has been looked at since, or is gone.
		s.Conversations.Outages.observe(lookingAt(workspaceSID), s.Clock.Now(), nil)
	}
	s.Conversations.observations.retain(workspaceSID, listed)
	return s.enqueueUnplanned(shared, swept), s.writeStatuses(ctx, shared, swept, memory)
}

// sweptConversation is what a sweep has found out about a conversation.
type sweptConversation struct {
	key ConversationKey
	// open says that an agent has it.
	open bool
	// owner is the policy that owns it or cannot tell whether it does, by its place among those of the workspace; -1: none
	// does.
	owner     int
	undecided bool
	// holds is what its tasks say of being held.
	holds string
}

// group puts the tasks of each conversation together, and says whose it is at that moment of Twilio's clock. The conversations come in the order of their
// oldest tasks, which is roughly that in which they become due. Those that no agent has matter only if the operator has
// claimed something.
func (s *Sweeper) group(workspaceSID string, tasks []inactivity.Task, shared workspacePolicies, now time.Time) []sweptConversation {
	byConversation := map[string][]inactivity.Task{}
	var order []string
	for _, task := range tasks {
		sid := task.Attributes.ConversationSID
		if sid == "" {
			continue
		}
		if _, found := byConversation[sid]; !found {
			order = append(order, sid)
		}
		byConversation[sid] = append(byConversation[sid], task)
	}
	var swept []sweptConversation
	for _, sid := range order {
		own := byConversation[sid]
		conversation := sweptConversation{key: ConversationKey{WorkspaceSID: workspaceSID, ConversationSID: sid}, owner: -1}
		claimed := false
		for _, task := range own {
			conversation.open = conversation.open || task.Status == inactivity.TaskAssigned
			claimed = claimed || task.Attributes.Claim != nil
		}
		if !conversation.open && !claimed {
			continue
		}
		owner, err := inactivity.Owner(shared.policies, own, now)
		conversation.owner, conversation.undecided = owner, err != nil
		if err == nil && owner >= 0 {
			conversation.holds = shared.policies[owner].HeldByTasks(own)
		}
		swept = append(swept, conversation)
	}
	return swept
}

// enqueueUnplanned queues the conversations that the leader has no plan for, or whose plan is overdue or was made for
// other policies, another owner or another hold. It returns how many.
func (s *Sweeper) enqueueUnplanned(shared workspacePolicies, swept []sweptConversation) int {
	found := 0
	now := s.Clock.Now()
	for _, conversation := range swept {
		planned, looked := s.Conversations.plans.get(conversation.key)
		current := looked && planned.policies == shared.revision && planned.holds == conversation.holds &&
			planned.owner == shared.name(conversation.owner) && planned.undecided == conversation.undecided
		overdue := !planned.lookAt.IsZero() && now.After(planned.lookAt) && (conversation.open || planned.failed)
		if !current || overdue {
			s.Conversations.enqueueFound(conversation.key)
			found++
		}
	}
	return found
}

// count counts the open conversations of each policy, and which of them are held or due by the last look at them.
func (s *Sweeper) count(shared workspacePolicies, swept []sweptConversation) []v1alpha1.ConversationCounts {
	counts := make([]v1alpha1.ConversationCounts, len(shared.objects))
	for _, conversation := range swept {
		if !conversation.open || conversation.owner < 0 {
			continue
		}
		own := &counts[conversation.owner]
		own.Open++
		planned, _ := s.Conversations.plans.get(conversation.key)
		if planned.held {
			own.Held++
		}
		if planned.due {
			own.Due++
		}
	}
	return counts
}

// describe reads the tasks that a list has given. One that the list gave without its attributes is read on its own, when it
// has changed; one that cannot be read now is left to the next sweep.
func (m *sweepMemory) describe(ctx context.Context, reader TaskClient, workspaceSID string, tasks []twilio.Task, now func() time.Time) []inactivity.Task {
	swept := make([]inactivity.Task, 0, len(tasks))
	read := map[string]readTask{}
	failed := 0
	for _, seen := range tasks {
		before, found := m.read[seen.SID]
		switch {
		case seen.Attributes != "":
			swept = append(swept, toSwept(seen))
			continue
		case !found || !before.isStill(seen):
			task, err := reader.GetTask(ctx, workspaceSID, seen.SID)
			if twilio.IsNotFound(err) {
				continue
			}
			if err != nil {
				failed++
				continue
			}
			before = readTask{toSwept(task), task.DateUpdated, now()}
		}
		read[seen.SID] = before
		swept = append(swept, before.Task)
	}
	m.read = read
	if failed > 0 {
		log.FromContext(ctx).Info("Some tasks could not be read, and are left to the next sweep", "workspace", workspaceSID, "tasks", failed)
	}
	return swept
}

// toSwept reads a task. Attributes that cannot be read belong to no conversation of ours.
func toSwept(seen twilio.Task) inactivity.Task {
	task, err := toTask(seen)
	if err != nil {
		return inactivity.Task{SID: seen.SID, Status: inactivity.TaskStatus(seen.AssignmentStatus)}
	}
	return task
}

// writeStatuses writes what the sweep has counted into the status of the policies.
func (s *Sweeper) writeStatuses(ctx context.Context, shared workspacePolicies, swept []sweptConversation, memory *sweepMemory) error {
	var failures []error
	for i, counts := range s.count(shared, swept) {
		if object := shared.objects[i]; !object.Spec.Suspend && object.Status.EffectiveSince != nil {
			failures = append(failures, s.writeStatus(ctx, object, shared.policies[i].EndsPerMinute, counts, memory))
		}
	}
	return errors.Join(failures...)
}

// writeStatus writes the counts of a policy, and whether its limit keeps conversations waiting, when they have changed, at
// most once a minute. The patch holds the version it was computed from: conditions are replaced as a whole, and those of
// the policy's reconciler must not be lost. What loses against it is written by the next sweep.
func (s *Sweeper) writeStatus(ctx context.Context, before *v1alpha1.InactivityPolicy, limit int, counts v1alpha1.ConversationCounts, memory *sweepMemory) error {
	name := client.ObjectKeyFromObject(before)
	now := s.Clock.Now()
	changed := before.DeepCopy()
	changed.Status.Conversations = &counts
	if limit > 0 {
		markThrottled(changed, limit, s.Conversations.throttles.queued(name, now) > 0)
	}
	if equality.Semantic.DeepEqual(before.Status, changed.Status) || now.Sub(memory.counted[name]) < countsInterval {
		return nil
	}
	err := s.Client.Status().Patch(ctx, changed, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	switch {
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("writing the conversation counts of policy %s: %w", name, err)
	}
	memory.counted[name] = now
	return nil
}

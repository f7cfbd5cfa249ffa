package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/callback"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

const (
	// newestMessages is how many messages are read at first: the last word of a person is nearly always among them.
	newestMessages = 50

	// allMessages bounds how many messages are read when programs wrote all the newest ones.
	allMessages = 1000
)

// errLookAgain says that the conversation has changed under an act: what was seen of it no longer holds.
var errLookAgain = errors.New("the conversation has changed meanwhile")

// pass is one look at a conversation with the acts that follow from it.
type pass struct {
	reconciler *ConversationReconciler
	key        ConversationKey
	// shared are the policies of the workspace. client is for its account: first with any policy's credentials, then
	// with the owner's.
	shared workspacePolicies
	client TwilioClient
	// owner is the policy that owns the conversation, set by choose; nil: none does, or nobody can say which.
	owner  *v1alpha1.InactivityPolicy
	policy inactivity.Policy
	// claimant is the owner, or the policy whose expression cannot tell whether it is.
	claimant *v1alpha1.InactivityPolicy
	// admitted says that the policy's limit has let the conversation through.
	admitted bool
	clock    twilio.ServerTime
	snapshot inactivity.Snapshot
	// accepted is the fresh accept that the pass was begun for, nil if there is none; announced is the task whose accept event
	// has led to the pass, empty if none has.
	accepted  *inactivity.Acceptance
	announced string
	// seenAt is the replica's clock just before snapshot.Now, so that a wait can be reckoned by it.
	seenAt time.Time
}

// run decides and acts until there is nothing more to do now, and returns the decision that said so.
func (p *pass) run(ctx context.Context) (inactivity.Decision, error) {
	ctx = twilio.WithServerTime(ctx, &p.clock)
	if err := p.start(ctx); err != nil {
		return inactivity.Decision{}, err
	}
	for range maxSteps {
		decision, err := p.decide(ctx)
		if err != nil {
			return decision, err
		}
		log.FromContext(ctx).V(1).Info("Decided", "act", decision.Act, "reason", decision.Reason, "next", decision.Next)
		switch decision.Act {
		case inactivity.ActNone:
			p.explain(decision)
			return decision, nil
		case inactivity.ActLook:
			err = p.look(ctx, decision)
		default:
			err = p.do(ctx, decision)
		}
		switch {
		case errors.Is(err, errLookAgain):
			err = p.startOver(ctx)
		case errors.Is(err, inactivity.ErrNoRoom):
			// The warning has said so; it may be shortened.
			return inactivity.Decision{Act: inactivity.ActNone, Reason: inactivity.ReasonNoRoom, Due: true, Next: p.snapshot.Now.Add(p.policy.Timeout)}, nil
		case err == nil && (decision.Act == inactivity.ActArm || decision.Act == inactivity.ActRearm) && p.isActive():
			return decision, nil
		}
		if err != nil {
			return decision, err
		}
	}
	return inactivity.Decision{}, fmt.Errorf("no end after %d steps", maxSteps)
}

// decide says whose the conversation is and what to do with it next. What a policy that only observes would do is noted
// and not done; an ending beyond the policy's limit waits.
func (p *pass) decide(ctx context.Context) (inactivity.Decision, error) {
	if p.owner == nil {
		if left, err := p.choose(ctx); err != nil {
			return inactivity.Decision{}, err
		} else if left != nil {
			return *left, nil
		}
	}
	for range maxSteps {
		decision := inactivity.Decide(p.policy, p.snapshot)
		switch {
		case !p.policy.Observe || decision.Act == inactivity.ActNone || decision.Act == inactivity.ActLook:
			return p.admit(decision), nil
		case !p.observe(ctx, decision):
			return inactivity.Decision{Act: inactivity.ActNone, Reason: inactivity.ReasonObserved, Next: p.policy.Again(p.snapshot)}, nil
		}
	}
	return inactivity.Decision{}, fmt.Errorf("no end after %d steps that are only observed", maxSteps)
}

// choose finds the policy that owns the conversation, as the tasks show it now. It returns a decision when there is
// nothing to do because none does, or because nobody can say which.
func (p *pass) choose(ctx context.Context) (*inactivity.Decision, error) {
	chosen, err := inactivity.Owner(p.shared.policies, p.snapshot.Tasks, p.snapshot.Now)
	if err == nil && len(p.snapshot.Tasks) == 0 {
		chosen, err = p.chooseByNotice(ctx)
	}
	switch {
	case errors.Is(err, inactivity.ErrExpressionFailed):
		p.claimant = p.shared.objects[chosen]
		p.record(p.claimant, corev1.EventTypeWarning, reasonExpressionFailed, fmt.Sprintf(
			"Conversation %s is left alone: %s; guard what a task may lack or have in another type, for example with has()", p.key.ConversationSID, err))
		return &inactivity.Decision{Act: inactivity.ActNone, Reason: inactivity.ReasonExpressionFailed, Held: true,
			Next: p.snapshot.Now.Add(p.shared.policies[chosen].Timeout)}, nil
	case err != nil:
		return nil, err
	case chosen < 0:
		return &inactivity.Decision{Act: inactivity.ActNone, Reason: inactivity.ReasonNoPolicy}, nil
	}
	p.owner, p.policy = p.shared.objects[chosen], p.shared.inForce(chosen)
	p.claimant = p.owner
	if p.policy.Suspended || p.policy.EffectiveSince.IsZero() {
		return nil, nil // Decide says so
	}
	if p.owner.ManagesCallback() && p.reconciler.PublicURL != nil {
		p.policy.WebhookURL = callback.ConversationCallbackURL(p.reconciler.PublicURL, p.key.WorkspaceSID)
	}
	p.client, err = p.reconciler.clientFor(p.owner)
	return nil, err
}

// chooseByNotice finds the policy whose ending was cut off so late that the task is gone: the notice names it.
func (p *pass) chooseByNotice(ctx context.Context) (int, error) {
	if p.snapshot.Messages == nil {
		if err := p.readMessages(ctx, newestMessages); err != nil {
			return -1, err
		}
	}
	for _, message := range p.snapshot.Messages.Newest {
		if message.Marker != nil && message.Marker.Step == inactivity.StepNotice {
			found := slices.IndexFunc(p.shared.policies, func(policy inactivity.Policy) bool {
				return policy.Name == message.Marker.Policy && policy.Wrote(message)
			})
			if found >= 0 {
				return found, nil
			}
		}
	}
	return -1, nil
}

// newPlan is the leader's plan for the conversation as the pass has left it.
func (p *pass) newPlan(lookAt time.Time) plan {
	next := plan{policies: p.shared.revision, lookAt: lookAt}
	if p.claimant != nil {
		next.owner, next.undecided = client.ObjectKeyFromObject(p.claimant), p.owner == nil
	}
	if p.owner != nil {
		next.holds = p.policy.HeldByTasks(p.snapshot.Tasks)
	}
	return next
}

// start takes the first look: at what an event has just said, if one did, and at the tasks otherwise.
func (p *pass) start(ctx context.Context) error {
	p.accepted, p.announced = p.reconciler.acceptances.take(p.key, p.reconciler.Clock.Now())
	if p.accepted == nil {
		return p.startOver(ctx)
	}
	accepted := p.accepted
	attributes, err := inactivity.ParseTaskAttributes(accepted.Attributes)
	if err != nil {
		return p.startOver(ctx)
	}
	p.seenAt = p.reconciler.Clock.Now()
	p.snapshot = inactivity.Snapshot{
		Now:          accepted.At,
		JustAccepted: true,
		Tasks: []inactivity.Task{{
			SID:              accepted.TaskSID,
			Status:           inactivity.TaskStatus(accepted.AssignmentStatus),
			Attributes:       attributes,
			Queue:            accepted.TaskQueueName,
			QueueSID:         accepted.TaskQueueSID,
			Priority:         accepted.TaskPriority,
			Created:          accepted.At.Add(-accepted.TaskAge),
			Accepted:         &inactivity.Reservation{SID: accepted.ReservationSID, At: accepted.At},
			ReservationsSeen: true,
		}},
	}
	return nil
}

// startOver forgets what was seen and looks at the tasks of the conversation.
func (p *pass) startOver(ctx context.Context) error {
	p.snapshot = inactivity.Snapshot{Announced: p.announced != ""}
	p.owner, p.claimant, p.admitted = nil, nil, false
	defer p.tick(p.reconciler.Clock.Now())
	tasks, err := p.client.ListTasks(ctx, p.key.WorkspaceSID, twilio.TaskQuery{ConversationSID: p.key.ConversationSID})
	if err != nil {
		return fmt.Errorf("listing the tasks: %w", err)
	}
	announced := func(task twilio.Task) bool { return task.SID == p.announced }
	if p.announced != "" && !slices.ContainsFunc(tasks, announced) {
		// Twilio does not say how soon a list that asks for attributes has a task. Its accept event has come already.
		tasks = append(tasks, twilio.Task{SID: p.announced})
	}
	for _, seen := range tasks {
		if sid := seen.SID; seen.Attributes == "" {
			// Twilio's documents say that a list leaves the attributes out; in practice it mostly does not.
			if seen, err = p.client.GetTask(ctx, p.key.WorkspaceSID, sid); twilio.IsNotFound(err) {
				continue
			} else if err != nil {
				return fmt.Errorf("reading task %s: %w", sid, err)
			}
		}
		task, err := toTask(seen)
		if err != nil {
			return err
		}
		if task.Attributes.ConversationSID != p.key.ConversationSID {
			continue // somebody has given the announced task to another conversation since
		}
		p.snapshot.Tasks = append(p.snapshot.Tasks, task)
	}
	return nil
}

// tick sets the snapshot's clock to Twilio's, as of its latest answer. before is the replica's clock before Twilio was
// asked: what is planned by it comes early rather than late.
func (p *pass) tick(before time.Time) {
	p.seenAt = before
	now, known := p.clock.Latest()
	if !known {
		now = before
	}
	p.snapshot.Now = now
}

// look reads the parts that the decision asks for, all at once.
func (p *pass) look(ctx context.Context, decision inactivity.Decision) error {
	defer p.tick(p.reconciler.Clock.Now())
	if p.snapshot.JustAccepted && decision.Need != inactivity.NeedWebhooks {
		return p.startOver(ctx)
	}
	refs := p.policy.ChannelsOf(p.snapshot) // before anything else is read: the reads run at once
	parts := []struct {
		need inactivity.Need
		read func(context.Context) error
	}{
		{inactivity.NeedReservations, p.readReservations},
		{inactivity.NeedConversation, p.readConversation},
		{inactivity.NeedMessages, func(ctx context.Context) error { return p.readMessages(ctx, newestMessages) }},
		{inactivity.NeedAllMessages, func(ctx context.Context) error { return p.readMessages(ctx, allMessages) }},
		{inactivity.NeedChannels, func(ctx context.Context) error { return p.readChannels(ctx, refs) }},
		{inactivity.NeedWebhooks, p.readWebhooks},
		{inactivity.NeedParticipants, p.readParticipants},
		{inactivity.NeedTask, func(ctx context.Context) error { return p.readTask(ctx, decision.TaskSID) }},
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		if decision.Need.Has(part.need) {
			group.Go(func() error { return part.read(ctx) })
		}
	}
	return group.Wait()
}

func (p *pass) readReservations(ctx context.Context) error {
	for i := range p.snapshot.Tasks {
		task := &p.snapshot.Tasks[i]
		if task.Status != inactivity.TaskAssigned || task.ReservationsSeen {
			continue
		}
		reservations, err := p.client.ListReservations(ctx, p.key.WorkspaceSID, task.SID, "accepted")
		if err != nil && !twilio.IsNotFound(err) {
			return fmt.Errorf("listing the reservations of task %s: %w", task.SID, err)
		}
		task.ReservationsSeen = true
		for _, reservation := range reservations {
			if reservation.Status == "accepted" && (task.Accepted == nil || reservation.DateUpdated.After(task.Accepted.At)) {
				task.Accepted = &inactivity.Reservation{SID: reservation.SID, At: reservation.DateUpdated}
			}
		}
	}
	return nil
}

func (p *pass) readConversation(ctx context.Context) error {
	seen, err := p.client.GetConversation(ctx, p.key.ConversationSID)
	switch {
	case twilio.IsNotFound(err):
		p.snapshot.Conversation = &inactivity.Conversation{State: inactivity.ConversationClosed}
	case err != nil:
		return fmt.Errorf("reading the conversation: %w", err)
	default:
		p.snapshot.Conversation = toConversation(seen)
	}
	return nil
}

func (p *pass) readMessages(ctx context.Context, limit int) error {
	seen, err := p.client.ListMessages(ctx, p.key.ConversationSID, twilio.MessageQuery{Limit: limit})
	if err != nil && !twilio.IsNotFound(err) {
		return fmt.Errorf("listing the messages: %w", err)
	}
	messages := &inactivity.Messages{More: len(seen) >= limit && limit < allMessages}
	if p.policy.Observe {
		// What a policy that only observes would have sent counts as sent.
		messages.Newest = p.reconciler.observations.of(p.key)
	}
	for _, message := range seen {
		messages.Newest = append(messages.Newest, inactivity.Message{
			SID:            message.SID,
			Index:          message.Index,
			Author:         message.Author,
			ParticipantSID: message.ParticipantSID,
			At:             message.DateCreated,
			Marker:         inactivity.ParseMarker(message.Attributes),
		})
	}
	p.snapshot.Messages = messages
	return nil
}

func (p *pass) readParticipants(ctx context.Context) error {
	seen, err := p.client.ListParticipants(ctx, p.key.ConversationSID)
	if err != nil && !twilio.IsNotFound(err) {
		return fmt.Errorf("listing the participants: %w", err)
	}
	participants := &inactivity.Participants{BySID: map[string]inactivity.Participant{}}
	for i, participant := range seen {
		participants.BySID[participant.SID] = inactivity.Participant{
			Identity: participant.Identity, Address: participant.Address, Attributes: participant.Attributes,
			// Twilio's dates have whole seconds. Who of those that joined in the same one came first, the list's order tells.
			Joined: participant.DateCreated.Add(time.Duration(i)),
		}
	}
	p.snapshot.Participants = participants
	return nil
}

func (p *pass) readChannels(ctx context.Context, refs []inactivity.ChannelRef) error {
	channels := map[inactivity.ChannelRef]inactivity.ChannelStatus{}
	for _, ref := range refs {
		channel, err := p.client.GetInteractionChannel(ctx, ref.InteractionSID, ref.ChannelSID)
		switch {
		case twilio.IsNotFound(err):
			channels[ref] = inactivity.ChannelGone
		case err != nil:
			return fmt.Errorf("reading interaction channel %s: %w", ref.ChannelSID, err)
		default:
			channels[ref] = inactivity.ChannelStatus(channel.Status)
		}
	}
	p.snapshot.Channels = channels
	return nil
}

func (p *pass) readWebhooks(ctx context.Context) error {
	seen, err := p.client.ListWebhooks(ctx, p.key.ConversationSID)
	if twilio.IsNotFound(err) {
		return errLookAgain
	}
	if err != nil {
		return fmt.Errorf("listing the webhooks: %w", err)
	}
	webhooks := &inactivity.Webhooks{}
	for _, webhook := range seen {
		webhooks.URLs = append(webhooks.URLs, webhook.URL)
	}
	p.snapshot.Webhooks = webhooks
	return nil
}

// readTask reads one task with its ETag, the version that a claim is made against.
func (p *pass) readTask(ctx context.Context, taskSID string) error {
	seen, err := p.client.GetTask(ctx, p.key.WorkspaceSID, taskSID)
	if twilio.IsNotFound(err) {
		return errLookAgain
	}
	if err != nil {
		return fmt.Errorf("reading task %s: %w", taskSID, err)
	}
	return p.setTask(seen)
}

// setTask puts what was seen of a task into the snapshot, next to what is known of its reservations.
func (p *pass) setTask(seen twilio.Task) error {
	fresh, err := toTask(seen)
	if err != nil {
		return err
	}
	if task := p.task(seen.SID); task != nil {
		fresh.Accepted, fresh.ReservationsSeen = task.Accepted, task.ReservationsSeen
		*task = fresh
	}
	return nil
}

func (p *pass) task(sid string) *inactivity.Task {
	for i := range p.snapshot.Tasks {
		if p.snapshot.Tasks[i].SID == sid {
			return &p.snapshot.Tasks[i]
		}
	}
	return nil
}

func (p *pass) isActive() bool {
	return p.snapshot.Conversation != nil && p.snapshot.Conversation.State == inactivity.ConversationActive
}

func toTask(seen twilio.Task) (inactivity.Task, error) {
	attributes, err := inactivity.ParseTaskAttributes(seen.Attributes)
	if err != nil {
		return inactivity.Task{}, fmt.Errorf("task %s: %w", seen.SID, err)
	}
	return inactivity.Task{
		SID:        seen.SID,
		Status:     inactivity.TaskStatus(seen.AssignmentStatus),
		Attributes: attributes,
		Queue:      seen.TaskQueueFriendlyName,
		QueueSID:   seen.TaskQueueSID,
		Priority:   seen.Priority,
		ETag:       seen.ETag,
		Created:    seen.DateCreated,
	}, nil
}

func toConversation(seen twilio.Conversation) *inactivity.Conversation {
	return &inactivity.Conversation{
		State: inactivity.ConversationState(seen.State), DateInactive: seen.DateInactive, Attributes: seen.Attributes,
	}
}

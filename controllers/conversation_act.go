package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

// Twilio error codes that an act has to tell apart (https://www.twilio.com/docs/api/errors).
const (
	codeConversationClosed = 50377
	codeTooManyWebhooks    = 50361
	codeInteractionNotOpen = 80906
	codeTaskInAnotherState = 20001
	codeUnauthorized       = 20003
	codeAccountNotActive   = 20005
)

// eventStateUpdated is the one event of a conversation that the operator needs
// (https://www.twilio.com/docs/conversations-classic/conversations-webhooks).
const eventStateUpdated = "onConversationStateUpdated"

// What events on the policy say of an act: the action of all, and the reasons of warnings.
const (
	actionConversation     = "ActOnConversation"
	reasonTextRefused      = "TextRefused"
	reasonClaimImpossible  = "ClaimImpossible"
	reasonMessageTooLong   = "MessageTooLong"
	reasonHoldUnreadable   = "HoldUnreadable"
	reasonExpressionFailed = "ExpressionFailed"
	reasonWouldAct         = "WouldAct"
)

// What became of an act, in metrics and log.
const (
	outcomeDone      = "done"
	outcomeOvertaken = "overtaken"
	outcomeFailed    = "failed"
	outcomeRefused   = "refused"
	outcomeObserved  = "observed"
)

// codesConflict say that the conversation was changed by somebody else at the same time.
var codesConflict = []int{50349, 50391}

// errTextRefused says that a text was refused for good, and that this is recorded on the task.
var errTextRefused = errors.New("text refused")

// do does one act, counts it, and records it on the policy.
func (p *pass) do(ctx context.Context, decision inactivity.Decision) error {
	var err error
	switch decision.Act {
	case inactivity.ActArm, inactivity.ActRearm:
		err = p.arm(ctx, decision)
	case inactivity.ActWarn, inactivity.ActHoldingText, inactivity.ActNotice:
		err = p.send(ctx, decision)
	case inactivity.ActClaim:
		err = p.claim(ctx, decision)
	case inactivity.ActFinish:
		err = p.finish(ctx, decision)
	case inactivity.ActCloseConversation:
		err = p.closeConversation(ctx)
	default:
		err = fmt.Errorf("%q is no act", decision.Act)
	}
	p.account(ctx, decision, err)
	isText := decision.Act == inactivity.ActWarn || decision.Act == inactivity.ActHoldingText || decision.Act == inactivity.ActNotice
	switch {
	case errors.Is(err, errTextRefused):
		return nil
	case err == nil && isText && decision.Timer > 0:
		return p.goOn(ctx, decision.Timer)
	}
	return err
}

// account counts an act and writes its one audit line and event; a conversation that is made active again is no event
// (docs/adr/0021). Neither holds a text, a name or an address.
func (p *pass) account(ctx context.Context, decision inactivity.Decision, err error) {
	outcome := outcomeDone
	switch {
	case errors.Is(err, errTextRefused):
		outcome = outcomeRefused
	case errors.Is(err, errLookAgain):
		outcome = outcomeOvertaken
	case err != nil:
		outcome = outcomeFailed
	}
	p.reconciler.Acts(string(decision.Act), outcome)
	if err != nil && outcome != outcomeRefused {
		return
	}
	p.audit(ctx, decision, outcome, p.claimed())
	if outcome == outcomeRefused {
		p.recordAct(corev1.EventTypeWarning, reasonTextRefused, fmt.Sprintf("Conversation %s: the %s was not sent, because Twilio refuses it: %s", p.key.ConversationSID, decision.Claim.Step, err))
		return
	}
	if decision.Act != inactivity.ActRearm { // it comes again and again while nothing happens
		p.recordAct(corev1.EventTypeNormal, string(decision.Act),
			fmt.Sprintf("Conversation %s: %s (%s)", p.key.ConversationSID, told(decision), decision.Reason))
	}
	if decision.Message.Shortened {
		p.recordAct(corev1.EventTypeWarning, reasonMessageTooLong, fmt.Sprintf("Conversation %s: the %s was sent without the values of its template, because with them it is longer than %d characters; shorten it",
			p.key.ConversationSID, decision.Claim.Step, inactivity.MaxBody))
	}
}

// audit writes the one line about an act.
func (p *pass) audit(ctx context.Context, decision inactivity.Decision, outcome string, claim inactivity.Claim) {
	log.FromContext(ctx).Info("Acted on the conversation", "act", decision.Act, "outcome", outcome, "reason", decision.Reason,
		"policy", p.policy.Name, "episode", claim.Episode, "idleSeconds", claim.IdleSeconds, "waitingOn", claim.WaitingOn,
		"warnings", claim.Warnings)
}

// explain records why a conversation is left alone where somebody has to mend something.
func (p *pass) explain(decision inactivity.Decision) {
	if decision.Reason == inactivity.ReasonHoldUnreadable {
		p.warn(reasonHoldUnreadable, fmt.Sprintf("Conversation %s is held, because its attribute %s is neither true, false nor a time such as 2026-03-01T15:00:00Z; correct it",
			p.key.ConversationSID, p.policy.HoldAttribute))
	}
}

// claimed is the newest claim that the pass has written or found.
func (p *pass) claimed() inactivity.Claim {
	var newest inactivity.Claim
	for _, task := range p.snapshot.Tasks {
		if claim := task.Attributes.Claim; claim != nil && claim.At.After(newest.At) {
			newest = *claim
		}
	}
	return newest
}

// told says for people what an act has done.
func told(decision inactivity.Decision) string {
	switch decision.Act {
	case inactivity.ActArm:
		return fmt.Sprintf("armed, to be looked at after %s of silence", decision.Timer)
	case inactivity.ActWarn:
		return fmt.Sprintf("idle for %ds, the customer has been warned %ds before the end", decision.Claim.IdleSeconds, decision.Claim.BeforeSeconds)
	case inactivity.ActHoldingText:
		return fmt.Sprintf("the customer has waited for %ds and has been told so", decision.Claim.IdleSeconds)
	case inactivity.ActNotice:
		return fmt.Sprintf("idle for %ds, the customer has been told", decision.Claim.IdleSeconds)
	case inactivity.ActClaim:
		return fmt.Sprintf("idle for %ds, to be ended without a notice", decision.Claim.IdleSeconds)
	case inactivity.ActFinish:
		return "tasks ended"
	case inactivity.ActCloseConversation:
		return "closed"
	default:
		return string(decision.Act)
	}
}

// arm gives the conversation the webhook, if it lacks it, and the timer.
func (p *pass) arm(ctx context.Context, decision inactivity.Decision) error {
	if decision.CreateWebhook {
		_, err := p.client.CreateWebhook(ctx, p.key.ConversationSID, twilio.NewWebhook{
			URL: p.policy.WebhookURL, Method: "post", Filters: []string{eventStateUpdated},
		})
		switch {
		case twilio.HasCode(err, codeTooManyWebhooks, codeConversationClosed) || twilio.IsNotFound(err):
			return errLookAgain
		case err != nil:
			return fmt.Errorf("adding the webhook: %w", err)
		}
		p.snapshot.Webhooks.URLs = append(p.snapshot.Webhooks.URLs, p.policy.WebhookURL)
	}
	update := twilio.ConversationUpdate{InactiveTimer: inactivity.ISO8601(decision.Timer)}
	if decision.Activate {
		update.State = string(inactivity.ConversationActive)
	}
	updated, err := p.client.UpdateConversation(ctx, p.key.ConversationSID, update)
	switch {
	case twilio.HasCode(err, codeConversationClosed) || twilio.IsNotFound(err):
		return errLookAgain
	case err != nil:
		return fmt.Errorf("setting the inactivity timer: %w", err)
	}
	p.setConversation(updated, decision.Timer)
	return nil
}

// claim writes the operator's entry into the task's attributes, if nobody has changed the task since it was read.
func (p *pass) claim(ctx context.Context, decision inactivity.Decision) error {
	task := p.task(decision.TaskSID)
	if task == nil || task.ETag == "" {
		return fmt.Errorf("claiming on task %s: it was not read", decision.TaskSID)
	}
	attributes, err := task.Attributes.WithClaim(decision.Claim)
	if errors.Is(err, inactivity.ErrNoRoom) {
		p.warn(reasonClaimImpossible, fmt.Sprintf("Conversation %s cannot be ended: the attributes of task %s leave no room for the operator's entry; shorten them",
			p.key.ConversationSID, decision.TaskSID))
	}
	if err != nil {
		return fmt.Errorf("claiming on task %s: %w", decision.TaskSID, err)
	}
	claimed, err := p.client.UpdateTaskAttributes(ctx, p.key.WorkspaceSID, decision.TaskSID, task.ETag, attributes)
	switch {
	case twilio.IsPreconditionFailed(err) || twilio.IsNotFound(err):
		return errLookAgain
	case err != nil:
		return fmt.Errorf("claiming on task %s: %w", decision.TaskSID, err)
	}
	if err := p.setTask(claimed); err != nil {
		return err
	}
	p.lookAtMessagesAgain()
	return nil
}

// send claims a step and sends its text. A text that Twilio refuses for good must not keep the conversation open for ever:
// that is recorded with the claim, and the next decision goes on without the text.
func (p *pass) send(ctx context.Context, decision inactivity.Decision) error {
	if err := p.claim(ctx, decision); err != nil {
		return err
	}
	if decision.TakeOver {
		if err := p.stillUnsent(ctx, decision); err != nil {
			return err
		}
	}
	attributes, err := p.marker(decision).Attributes()
	if err != nil {
		return err
	}
	_, err = p.client.CreateMessage(ctx, p.key.ConversationSID, twilio.NewMessage{
		Author: p.policy.Author, Body: decision.Message.Body, Attributes: attributes,
		ContentSID: decision.Message.ContentSID, ContentVariables: decision.Message.ContentVariables,
	})
	switch {
	case err == nil:
		p.lookAtMessagesAgain()
		return nil
	case twilio.HasCode(err, codeConversationClosed) || twilio.IsNotFound(err):
		return errLookAgain
	case !refusedForGood(err):
		return fmt.Errorf("sending the %s: %w", decision.Claim.Step, err)
	}
	decision.Claim = decision.Claim.WithRefusal()
	if claimErr := p.claim(ctx, decision); claimErr != nil {
		return claimErr
	}
	return fmt.Errorf("%w: %w", errTextRefused, err)
}

// marker is the operator's entry on the message of a step.
func (p *pass) marker(decision inactivity.Decision) inactivity.Marker {
	marker := inactivity.Marker{
		Policy:        p.policy.Name,
		Step:          decision.Claim.Step,
		Episode:       decision.Claim.Episode,
		IdleSince:     decision.Claim.IdleSince(),
		BeforeSeconds: decision.Claim.BeforeSeconds,
	}
	if marker.Step == inactivity.StepNotice {
		marker.Action, marker.Channels = p.policy.Action, p.policy.ChannelsOf(p.snapshot)
	}
	return marker
}

// stillUnsent looks at the messages once more before a step that somebody else has claimed before is done: what the other
// one sent may have come to light only since they were read.
func (p *pass) stillUnsent(ctx context.Context, decision inactivity.Decision) error {
	if err := p.readMessages(ctx, allMessages); err != nil { // the decision may have needed more than the newest
		return err
	}
	if !p.policy.StillWants(decision, p.snapshot) {
		return errLookAgain
	}
	return nil
}

// goOn keeps a conversation going after a text that ends nothing: active, and with a timer until the next step, whatever
// the text has done to either.
func (p *pass) goOn(ctx context.Context, timer time.Duration) error {
	updated, err := p.client.UpdateConversation(ctx, p.key.ConversationSID, twilio.ConversationUpdate{
		State: string(inactivity.ConversationActive), InactiveTimer: inactivity.ISO8601(timer),
	})
	switch {
	case twilio.HasCode(err, codeConversationClosed) || twilio.IsNotFound(err):
		return errLookAgain
	case err != nil:
		return fmt.Errorf("setting the inactivity timer after the text: %w", err)
	}
	p.setConversation(updated, timer)
	return nil
}

// setConversation puts what an update of the timer has answered into the snapshot.
func (p *pass) setConversation(updated twilio.Conversation, timer time.Duration) {
	p.snapshot.Conversation = toConversation(updated)
	if p.snapshot.Conversation.DateInactive == nil {
		due := p.snapshot.Now.Add(timer)
		p.snapshot.Conversation.DateInactive = &due
	}
}

// refusedForGood reports whether Twilio itself has refused the message as it is, so that the same message will be refused
// again: not what something in between has answered, nor a conflict with another change of the conversation.
func refusedForGood(err error) bool {
	var refused *twilio.Error
	if !errors.As(err, &refused) || refused.Code == 0 || refused.Foreign || twilio.HasCode(err, codesConflict...) {
		return false
	}
	switch refused.Status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusPreconditionFailed,
		http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	case http.StatusForbidden:
		// The claim before it was permitted: it is the message that is not, unless the credentials have just been revoked or the account suspended.
		return refused.Code != codeUnauthorized && refused.Code != codeAccountNotActive
	}
	return refused.Status >= 400 && refused.Status < 500
}

// lookAtMessagesAgain makes the next decision read the messages anew: an answer that slipped in must stop the ending.
func (p *pass) lookAtMessagesAgain() { p.snapshot.Messages = nil }

// finish ends the tasks. What is ended already counts as done.
func (p *pass) finish(ctx context.Context, decision inactivity.Decision) error {
	ended := inactivity.TaskCompleted
	if decision.WrapUp {
		ended = inactivity.TaskWrapping
	}
	for _, ref := range decision.Channels {
		err := p.client.CloseInteractionChannel(ctx, ref.InteractionSID, ref.ChannelSID, !decision.WrapUp)
		if err != nil && !twilio.IsNotFound(err) && !twilio.HasCode(err, codeInteractionNotOpen) {
			return fmt.Errorf("closing interaction channel %s: %w", ref.ChannelSID, err)
		}
		p.snapshot.Channels[ref] = inactivity.ChannelClosed
		for i := range p.snapshot.Tasks {
			if task := &p.snapshot.Tasks[i]; task.Attributes.Channel == ref && task.Status == inactivity.TaskAssigned {
				task.Status = ended
			}
		}
	}
	for _, sid := range decision.TaskSIDs {
		if err := p.endTask(ctx, sid, ended); err != nil {
			return err
		}
	}
	return nil
}

// endTask completes one task, or sets it wrapping.
func (p *pass) endTask(ctx context.Context, sid string, ended inactivity.TaskStatus) error {
	_, err := p.client.UpdateTaskStatus(ctx, p.key.WorkspaceSID, sid, string(ended), p.policy.Reason)
	if twilio.HasCode(err, codeTaskInAnotherState) {
		// The code means much; only a task that is not assigned any more makes it a success.
		var seen twilio.Task
		if seen, err = p.client.GetTask(ctx, p.key.WorkspaceSID, sid); err == nil && seen.AssignmentStatus == string(inactivity.TaskAssigned) {
			return fmt.Errorf("ending task %s: Twilio refuses to set it %s, but it is still assigned", sid, ended)
		}
	}
	if err != nil && !twilio.IsNotFound(err) {
		return fmt.Errorf("ending task %s: %w", sid, err)
	}
	if task := p.task(sid); task != nil {
		task.Status = ended
	}
	return nil
}

// closeConversation closes the conversation. Closed is final, so that one which is closed already is as wanted.
func (p *pass) closeConversation(ctx context.Context) error {
	_, err := p.client.UpdateConversation(ctx, p.key.ConversationSID, twilio.ConversationUpdate{State: string(inactivity.ConversationClosed)})
	if err != nil && !twilio.IsNotFound(err) && !twilio.HasCode(err, codeConversationClosed) {
		return fmt.Errorf("closing the conversation: %w", err)
	}
	p.snapshot.Conversation = &inactivity.Conversation{State: inactivity.ConversationClosed}
	return nil
}

// warn records on the policy that owns the conversation that somebody has to mend something, for as long as it is so.
func (p *pass) warn(reason, message string) {
	p.record(p.owner, corev1.EventTypeWarning, reason, message)
}

// record records an event about the conversation on a policy. The conversation is the event's related object, because
// Kubernetes takes events that differ in nothing but their note for repetitions of the first.
func (p *pass) record(policy *v1alpha1.InactivityPolicy, kind, reason, note string) {
	p.reconciler.Recorder.Eventf(policy, p.related(policy), kind, reason, actionConversation, "%s", shortened(note, noteLength))
}

// recordAct records an event about an act on the conversation: one for each, also for two of a kind.
func (p *pass) recordAct(kind, reason, note string) {
	related := p.related(p.owner)
	related.ResourceVersion = strconv.FormatInt(p.snapshot.Now.UnixNano(), 10)
	p.reconciler.Recorder.Eventf(p.owner, related, kind, reason, actionConversation, "%s", shortened(note, noteLength))
}

// related is the conversation, for an event.
func (p *pass) related(policy *v1alpha1.InactivityPolicy) *corev1.ObjectReference {
	return &corev1.ObjectReference{Kind: "Conversation", Namespace: policy.Namespace, Name: p.key.ConversationSID}
}

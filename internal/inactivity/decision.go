package inactivity

import "time"

// Act is what to do next.
type Act string

const (
	// ActLook asks for the parts in Decision.Need, and for the decision to be made again.
	ActLook Act = "Look"
	// ActNone leaves the conversation alone until Decision.Next.
	ActNone Act = "None"
	// ActArm gives the conversation what wakes the operator: the webhook if Decision.CreateWebhook, then the timer.
	ActArm Act = "Arm"
	// ActRearm makes the conversation active again and sets the timer to what is left.
	ActRearm Act = "Rearm"
	// ActWarn claims the step on the task and sends a warning.
	ActWarn Act = "Warn"
	// ActHoldingText claims the step on the task and sends the text for a customer who waits for an agent.
	ActHoldingText Act = "HoldingText"
	// ActNotice claims the step on the task and sends the notice.
	ActNotice Act = "Notice"
	// ActClaim claims the ending on the task when there is no notice to send.
	ActClaim Act = "Claim"
	// ActFinish ends the tasks: by closing Decision.Channels, and by completing Decision.TaskSIDs.
	ActFinish Act = "Finish"
	// ActCloseConversation closes the conversation.
	ActCloseConversation Act = "CloseConversation"
)

// Reason says why a decision was made. The reasons are listed in docs/decisions.md.
type Reason string

// The reasons of decisions.
const (
	// ReasonIncomplete: more has to be known first.
	ReasonIncomplete Reason = "Incomplete"
	// ReasonSuspended: the policy is suspended.
	ReasonSuspended Reason = "Suspended"
	// ReasonNotInForce: the policy has not taken effect yet.
	ReasonNotInForce Reason = "NotInForce"
	// ReasonNoLiveTask: no agent has the conversation, so nobody's time is to be freed, and it is not an ending of the
	// operator's that has come so far.
	ReasonNoLiveTask Reason = "NoLiveTask"
	// ReasonAwaitingAccept: a task of the conversation waits for an agent; the clock starts when one accepts.
	ReasonAwaitingAccept Reason = "AwaitingAccept"
	// ReasonNotDue: the timeout has not passed.
	ReasonNotDue Reason = "NotDue"
	// ReasonNoPolicy: no policy of the workspace selects the conversation.
	ReasonNoPolicy Reason = "NoPolicy"
	// ReasonExpressionFailed: a selector's expression cannot be evaluated for the conversation's task.
	ReasonExpressionFailed Reason = "ExpressionFailed"
	// ReasonHeld: an attribute holds the conversation.
	ReasonHeld Reason = "Held"
	// ReasonHoldUnreadable: the attribute that holds conversations has a value that cannot be read.
	ReasonHoldUnreadable Reason = "HoldUnreadable"
	// ReasonAgentOwesReply: the policy waits for customers only, and an agent owes the reply.
	ReasonAgentOwesReply Reason = "AgentOwesReply"
	// ReasonBeforePolicy: the silence began before the policy took effect, and existing is Ignore.
	ReasonBeforePolicy Reason = "BeforePolicy"
	// ReasonClosedHours: the step is due, and waits until the contact centre opens.
	ReasonClosedHours Reason = "ClosedHours"
	// ReasonOutsideReplyWindow: the conversation is due, and no text that the policy has would be delivered.
	ReasonOutsideReplyWindow Reason = "OutsideReplyWindow"
	// ReasonNoRoom: the operator's entry does not fit into the task's attributes.
	ReasonNoRoom Reason = "NoRoom"
	// ReasonThrottled: the conversation is due, and waits for the policy's limit.
	ReasonThrottled Reason = "Throttled"
	// ReasonObserved: the policy only observes, and would have acted.
	ReasonObserved Reason = "Observed"
	// ReasonWarningDue: a warning is due.
	ReasonWarningDue Reason = "WarningDue"
	// ReasonUnanswered: the customer has waited for an agent's reply for as long as the policy says.
	ReasonUnanswered Reason = "Unanswered"
	// ReasonAccepted: an agent has just accepted the conversation, and the event's replica arms it.
	ReasonAccepted Reason = "Accepted"
	// ReasonTimerMissing: no timer runs that would wake the operator.
	ReasonTimerMissing Reason = "TimerMissing"
	// ReasonTimerOff: the timer would wake the operator much too early or much too late.
	ReasonTimerOff Reason = "TimerOff"
	// ReasonWebhookMissing: the conversation lacks the operator's webhook.
	ReasonWebhookMissing Reason = "WebhookMissing"
	// ReasonWokenEarly: Twilio's timer fired before the timeout had passed.
	ReasonWokenEarly Reason = "WokenEarly"
	// ReasonNoWebhookSlot: other programs hold all webhooks of the conversation; it is left to the sweep.
	ReasonNoWebhookSlot Reason = "NoWebhookSlot"
	// ReasonChannelNotActive: the agent left or paused the conversation, or is transferring it.
	ReasonChannelNotActive Reason = "ChannelNotActive"
	// ReasonAlreadyClosed: the conversation is closed.
	ReasonAlreadyClosed Reason = "AlreadyClosed"
	// ReasonClaimedElsewhere: the step was claimed a moment ago and may still be under way.
	ReasonClaimedElsewhere Reason = "ClaimedElsewhere"
	// ReasonNotified: the customer has been told, and the policy's action is Notify.
	ReasonNotified Reason = "Notified"
	// ReasonNoticeRefused: Twilio has refused the notice, and the policy's action is Notify.
	ReasonNoticeRefused Reason = "NoticeRefused"
	// ReasonTimedOut: the conversation has been idle for the timeout.
	ReasonTimedOut Reason = "TimedOut"
	// ReasonNoticeSent: the notice is out and nobody answered it.
	ReasonNoticeSent Reason = "NoticeSent"
	// ReasonEndingBegun: an ending has been begun, now or before something cut it off, and is carried through.
	ReasonEndingBegun Reason = "EndingBegun"
)

// Decision is what to do next with a conversation, and why.
type Decision struct {
	Act    Act
	Reason Reason
	// Need is what ActLook asks for.
	Need Need
	// TaskSID is the task to look at for NeedTask, and the task to claim on for ActWarn, ActHoldingText, ActNotice and
	// ActClaim.
	TaskSID string
	// Next is when the conversation should be looked at again if nothing is heard of it. Zero: not by itself.
	Next time.Time
	// Due says that the timeout has passed; Held that the conversation is live but must not be touched now.
	Due, Held bool
	// CreateWebhook says that ActArm has to create the webhook.
	CreateWebhook bool
	// Activate says that the timer has to be set together with State=active.
	Activate bool
	// Timer is the timer of ActArm and ActRearm, and of a text after which the conversation goes on; 0: no timer is set.
	Timer time.Duration
	// Message is what ActWarn, ActHoldingText and ActNotice send. It must not be logged.
	Message Outgoing
	// StepDue is when the step became due that ActWarn, ActHoldingText, ActNotice or ActClaim is for.
	StepDue time.Time
	// TakeOver says that the text's step is taken over from a claim that has run out. What the other one has sent may
	// have come to light since the messages were read.
	TakeOver bool
	// Claim is the entry to write for ActWarn, ActHoldingText, ActNotice and ActClaim.
	Claim Claim
	// Channels are the interaction channels that ActFinish closes.
	Channels []ChannelRef
	// TaskSIDs are the tasks that ActFinish ends one by one, because no interaction channel does.
	TaskSIDs []string
	// WrapUp says that ActFinish leaves the tasks wrapping instead of completing them.
	WrapUp bool
}

// Outgoing is a message to the customer: a body, or the content template that takes its place.
type Outgoing struct {
	Body string
	// ContentSID and ContentVariables (JSON text) are set instead of Body outside a channel's reply window.
	ContentSID, ContentVariables string
	// Shortened says that values were left out of the body, because it was longer than a channel takes.
	Shortened bool
}

// IsEmpty reports whether there is nothing to send.
func (o Outgoing) IsEmpty() bool { return o.Body == "" && o.ContentSID == "" }

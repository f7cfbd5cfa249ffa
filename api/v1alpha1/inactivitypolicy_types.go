package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// InactivityPolicySpec is what a team wants to happen to conversations that the customer has left.
//
// The first four fields are the whole product for most people. No field has a default in the schema, because a
// default written into spec shows up as a difference in GitOps tools; what an absent field means is documented on
// the field and applied in code.
//
// +kubebuilder:validation:XValidation:rule="!has(self.translations) || size(self.translations) == 0 || (has(self.message) && size(self.message) > 0)",message="translations are of message, which everybody gets whose language is none of theirs: write one in spec.message, or leave translations out to end silently"
// +kubebuilder:validation:XValidation:rule="!has(self.warnings) || ([self.timeout] + self.warnings.map(w, w.before)).exists(d, !d.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')) || self.warnings.all(w, duration(w.before) < duration(self.timeout))",message="each warnings[].before must be shorter than timeout: it is how long before the end the warning is sent"
// +kubebuilder:validation:XValidation:rule="!has(self.unanswered) || (has(self.waitingOn) && self.waitingOn == 'Customer') || [self.timeout, self.unanswered.after].exists(d, !d.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')) || duration(self.unanswered.after) < duration(self.timeout)",message="unanswered.after must be shorter than timeout, or the conversation ends before the text is sent: shorten it, or set waitingOn to Customer"
// +kubebuilder:validation:XValidation:rule="!has(self.onTimeout) || !has(self.onTimeout.action) || self.onTimeout.action != 'Notify' || (has(self.message) && size(self.message) > 0)",message="onTimeout.action Notify only sends the message: write one in spec.message, or choose Close or WrapUp"
type InactivityPolicySpec struct {
	// credentialsSecretRef names the Secret, in the policy's namespace, with the
	// Twilio credentials. Its keys are accountSid and authToken, and optionally
	// apiKeySid with apiKeySecret (used for Twilio's API, while authToken
	// verifies callbacks), previousAuthToken (still accepted on callbacks while
	// the token is rotated), region and edge.
	// +required
	CredentialsSecretRef SecretReference `json:"credentialsSecretRef"`

	// workspace is the TaskRouter workspace whose conversations this policy
	// watches, named by exactly one of sid and friendlyName.
	// +required
	Workspace WorkspaceReference `json:"workspace"`

	// timeout is how long a conversation may be idle before it is ended: 1m to
	// 24h in whole seconds, for example 15m or 1h30m. The clock starts at the
	// message that anchor chooses, but never before the latest agent accepted
	// the conversation nor, unless existing says so, before the policy took
	// effect. Twilio deletes an assigned task after 24 hours, so nothing longer
	// could be kept.
	// +required
	Timeout Duration `json:"timeout"`

	// message is the notice sent to the customer when the conversation is
	// ended: at most 1,600 characters, which is what SMS and WhatsApp carry.
	// Absent or empty: the conversation is ended silently. It is a template
	// that may use {{.Customer.Name}}, {{.Channel}}, {{.Timeout}},
	// {{.Remaining}} and the task attributes {{.Attributes.key}}, with if, else,
	// with, and, or, not, eq and ne; a value that is missing is left out. For
	// example "Goodbye {{.Customer.Name}}, write to us again any time."
	// +kubebuilder:validation:MaxLength=1600
	// +kubebuilder:validation:XValidation:rule="self == '' || self.matches(r'[^\\p{Z}\\p{Cc}\\p{Cf}]')",message="is blank: write a text, or leave the field out to end silently"
	// +optional
	Message string `json:"message,omitempty"`

	// translations are message in other languages by BCP 47 tag, for example es
	// or pt-BR: at most 32, each a template of at most 1,600 characters. The
	// customer's language is in the task attribute that languageAttribute
	// names; pt-BR falls back to pt, then to message, and letter case does not
	// count. Absent: every customer gets message.
	// +optional
	Translations Translations `json:"translations,omitempty"`

	// languageAttribute is the task attribute that holds the customer's
	// language as a BCP 47 tag: 1 to 128 characters. Absent: language.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	LanguageAttribute string `json:"languageAttribute,omitempty"`

	// author is shown as the author of everything that is sent to the customer,
	// for example Support: 1 to 256 characters. Absent: Twilio's "system".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Author string `json:"author,omitempty"`

	// mode says whether the policy acts. Enforce (also when absent): it does.
	// Observe: it decides, logs and counts what it would do, and writes nothing
	// to Twilio, not even the workspace's callback. The conversations are its
	// own all the same, so no other policy ends them. When mode is changed the
	// policy takes effect anew, as existing says.
	// +optional
	Mode PolicyMode `json:"mode,omitempty"`

	// suspend stops the policy from acting when it is true: nothing is sent or
	// ended, and the workspace's callback is neither set nor repaired. The
	// conversations stay its own, so no other policy ends them, and it can be
	// deleted. Resumed, it takes effect anew, as existing says. Absent: false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// priority decides which policy owns a conversation that several select:
	// the one with the highest, then the oldest, then the first by namespace
	// and name. From -1000000 to 1000000. Absent: 0.
	// +kubebuilder:validation:Minimum=-1000000
	// +kubebuilder:validation:Maximum=1000000
	// +optional
	Priority int32 `json:"priority,omitempty"`

	// selector chooses the conversations that this policy is for, by their
	// newest live task; all the fields that are given have to match. Absent:
	// every conversation of the workspace.
	// +optional
	Selector *Selector `json:"selector,omitempty"`

	// waitingOn says whose silence counts. Any (also when absent): everybody's.
	// Customer: the clock runs only while the newest message of a person is an
	// agent's, so that nobody is ended who waits for a reply.
	// +optional
	WaitingOn WaitingOn `json:"waitingOn,omitempty"`

	// anchor is the message that the clock counts from. LastMessage (also when
	// absent): the last message of a person. FirstUnanswered: the first message
	// of an agent after the customer's last, so that a second "still there?"
	// does not restart the clock; if the customer wrote last, that message.
	// +optional
	Anchor Anchor `json:"anchor,omitempty"`

	// warnings are sent before the end, each once for each silence: at most 8.
	// An answer cancels them. Of several that are late only the latest is sent,
	// and the customer still has its whole before to answer. Absent: none.
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.exists(w, !w.before.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')) || self.all(w, self.exists_one(v, duration(v.before) == duration(w.before)))",message="two warnings have the same before: give each its own"
	// +listType=atomic
	// +optional
	Warnings []Warning `json:"warnings,omitempty"`

	// unanswered is a text for a customer who waits for an agent's reply, sent
	// once for each wait. Absent: none.
	// +optional
	Unanswered *Unanswered `json:"unanswered,omitempty"`

	// onTimeout says how an idle conversation is ended. Absent: its tasks are
	// completed and it is closed.
	// +optional
	OnTimeout *OnTimeout `json:"onTimeout,omitempty"`

	// replyWindow says what happens on WhatsApp and Messenger once 24 hours
	// have passed since the customer's last message: only templates that
	// WhatsApp has approved are delivered then. Other channels have no such
	// window. Absent: the window is not looked at.
	// +optional
	ReplyWindow *ReplyWindow `json:"replyWindow,omitempty"`

	// hours are the opening hours of the contact centre. Absent: it is always
	// open.
	// +optional
	Hours *Hours `json:"hours,omitempty"`

	// existing says what happens to silences that began before the policy took
	// effect. Grace (also when absent): their clock starts when it took effect.
	// Ignore: they are left alone until somebody writes or an agent accepts.
	// Immediate: they count in full. A policy takes effect anew when something
	// that clocks depend on is changed, such as timeout, selector or priority,
	// and when it is resumed.
	// +optional
	Existing Existing `json:"existing,omitempty"`

	// hold names an attribute with which an agent or a program keeps a
	// conversation from being touched. Absent: nothing does.
	// +optional
	Hold *Hold `json:"hold,omitempty"`

	// limits bound how fast conversations are ended. Absent: each is ended when
	// it is due.
	// +optional
	Limits *Limits `json:"limits,omitempty"`

	// callback says how the operator hears of events in the workspace. Absent:
	// it sets the workspace's event callback, and refuses to replace one that
	// somebody else has set.
	// +optional
	Callback *Callback `json:"callback,omitempty"`
}

// SecretReference names a Secret in the policy's own namespace.
type SecretReference struct {
	// name of the Secret, for example twilio: 1 to 253 characters.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
}

// WorkspaceReference names a TaskRouter workspace by its SID or by its friendly name.
// +kubebuilder:validation:XValidation:rule="has(self.sid) != has(self.friendlyName)",message="set exactly one of sid and friendlyName, for example sid: WS0123456789abcdef0123456789abcdef or friendlyName: Flex Task Assignment"
type WorkspaceReference struct {
	// sid of the workspace: WS and 32 lower-case hexadecimal digits, from the
	// Twilio console under TaskRouter > Workspaces.
	// +kubebuilder:validation:MaxLength=34
	// +kubebuilder:validation:XValidation:rule="self.matches('^WS[0-9a-f]{32}$')",message="must be a TaskRouter workspace SID: WS followed by 32 lower-case hexadecimal digits (Twilio console: TaskRouter > Workspaces)"
	// +optional
	SID string `json:"sid,omitempty"`

	// friendlyName of the workspace, exactly as in Twilio and of no other
	// workspace of the account: 1 to 256 characters. Flex creates one named
	// "Flex Task Assignment".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	FriendlyName string `json:"friendlyName,omitempty"`
}

// TimeoutAction is how an idle conversation is ended.
// +kubebuilder:validation:Enum=Close;WrapUp;Notify
type TimeoutAction string

const (
	// ActionClose sends the notice, completes the tasks and closes the conversation. It is what an absent action means.
	ActionClose TimeoutAction = "Close"
	// ActionWrapUp does the same, but leaves the tasks wrapping so that the agent can do after-call work.
	ActionWrapUp TimeoutAction = "WrapUp"
	// ActionNotify sends the notice once and ends nothing.
	ActionNotify TimeoutAction = "Notify"
)

// OnTimeout says how an idle conversation is ended.
type OnTimeout struct {
	// action is what is done. Close (also when absent): the message is sent,
	// the tasks are completed and the conversation is closed. WrapUp: the same,
	// but the tasks go to wrapping, for the agent's after-call work. Notify: the
	// message is sent once for each silence, and nothing is ended.
	// +optional
	Action TimeoutAction `json:"action,omitempty"`

	// reason is recorded on the task: in its attribute inactivityPolicy, and as
	// the Reason of a task that the operator completes itself. Flex completes
	// the tasks of an interaction, and gives them no Reason. 1 to 128
	// characters. Absent: "Inactivity timeout".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Reason string `json:"reason,omitempty"`
}

// CallbackMode says whether the operator uses callbacks.
// +kubebuilder:validation:Enum=Managed;Disabled
type CallbackMode string

const (
	// CallbackManaged lets the operator set the workspace's event callback and a webhook on each conversation. It is
	// what an absent mode means.
	CallbackManaged CallbackMode = "Managed"
	// CallbackDisabled touches neither workspace nor webhooks; idle conversations are found by the sweep alone.
	CallbackDisabled CallbackMode = "Disabled"
)

// CallbackConflict says what to do with a callback URL that somebody else has set.
// +kubebuilder:validation:Enum=Refuse;Replace;Forward
type CallbackConflict string

const (
	// ConflictRefuse leaves a foreign callback URL alone and says so in the policy's status. It is what an absent
	// onConflict means.
	ConflictRefuse CallbackConflict = "Refuse"
	// ConflictReplace replaces a foreign callback URL, and puts it back when the last policy of the workspace is deleted.
	ConflictReplace CallbackConflict = "Replace"
	// ConflictForward replaces a foreign callback URL as ConflictReplace does, and passes on to it the events that it got.
	ConflictForward CallbackConflict = "Forward"
)

// Callback says how the operator hears of events in the workspace.
type Callback struct {
	// mode says whether callbacks are used. Managed (also when absent): the
	// workspace's event callback is set and repaired, and each conversation
	// gets a webhook. Disabled: neither is touched, and idle conversations are
	// found by the operator's sweep alone, so that no ingress is needed.
	// +optional
	Mode CallbackMode `json:"mode,omitempty"`

	// onConflict says what happens when the workspace already calls somebody
	// else. Refuse (also when absent): that is left as it is, and the policy's
	// status says so. Replace: it is replaced, and put back when the last
	// policy of the workspace is deleted. Forward: the same, and meanwhile the
	// operator passes on to it every event that it used to get, signed as
	// Twilio would sign it. When the policies of a workspace differ, Forward
	// counts before Replace.
	// +optional
	OnConflict CallbackConflict `json:"onConflict,omitempty"`
}

// InactivityPolicyStatus is what the operator has observed and done.
type InactivityPolicyStatus struct {
	// conditions of the policy: Ready, Reconciling, Stalled,
	// CallbackConfigured, Overlapping and Throttled.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of spec that the rest of status
	// speaks of.
	// +kubebuilder:validation:Minimum=-1
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// workspace is the workspace that spec.workspace was resolved to.
	// +optional
	Workspace *ObservedWorkspace `json:"workspace,omitempty"`

	// effectiveSince is when the policy took effect as it is now, by Twilio's
	// clock. What becomes of silences that began before is said by
	// spec.existing.
	// +optional
	EffectiveSince *metav1.Time `json:"effectiveSince,omitempty"`

	// effectiveRevision stands for what effectiveSince belongs to: the fields
	// of spec that clocks and ownership depend on, and the policies that take
	// precedence over this one.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	EffectiveRevision string `json:"effectiveRevision,omitempty"`

	// conversations counts the policy's conversations at the last sweep.
	// +optional
	Conversations *ConversationCounts `json:"conversations,omitempty"`

	// lastHandledReconcileAt is the value of the annotation
	// contactcenter.flexops.dev/reconcileAt that was last acted on.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// ObservedWorkspace is a TaskRouter workspace as Twilio describes it.
type ObservedWorkspace struct {
	// sid of the workspace.
	// +kubebuilder:validation:MaxLength=34
	// +required
	SID string `json:"sid"`

	// friendlyName of the workspace.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	FriendlyName string `json:"friendlyName,omitempty"`

	// accountSid of the account that owns the workspace.
	// +kubebuilder:validation:MaxLength=34
	// +optional
	AccountSID string `json:"accountSid,omitempty"`

	// callbackUrl is the event callback that the operator has set. Absent
	// while it has set none.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	CallbackURL string `json:"callbackUrl,omitempty"`
}

// ConversationCounts counts a policy's conversations.
type ConversationCounts struct {
	// open conversations with an accepted task.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Open int32 `json:"open"`

	// held conversations: open, but not to be touched now, because an agent
	// left, paused or is transferring them, or because of the attribute that
	// spec.hold names.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Held int32 `json:"held"`

	// due conversations: open, and their next step is due.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Due int32 `json:"due"`
}

// InactivityPolicy ends the conversations of a Twilio Flex workspace that
// the customer has left: it tells the customer, completes the task and closes
// the conversation, exactly once.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=inactivitypolicies,scope=Namespaced,shortName=inpol,categories=twilio
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name="Workspace",type=string,JSONPath=`.status.workspace.friendlyName`
// +kubebuilder:printcolumn:name="Timeout",type=string,JSONPath=`.spec.timeout`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`,priority=1
// +kubebuilder:printcolumn:name="Open",type=integer,JSONPath=`.status.conversations.open`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type InactivityPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted: whose conversations, after how long a silence,
	// and what happens then. credentialsSecretRef, workspace, timeout and
	// message are all that most policies say. Every other field is optional;
	// what an absent one means is said by the field, and nothing is filled in.
	// +required
	Spec InactivityPolicySpec `json:"spec"`

	// status is what was observed.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status InactivityPolicyStatus `json:"status,omitempty"`
}

// InactivityPolicyList is a list of InactivityPolicies.
// +kubebuilder:object:root=true
type InactivityPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []InactivityPolicy `json:"items"`
}

// ManagesCallback reports whether the policy has the operator set callbacks in Twilio, which an absent mode means too. A
// policy that only observes writes nothing.
func (p *InactivityPolicy) ManagesCallback() bool {
	return !p.Observes() && (p.Spec.Callback == nil || p.Spec.Callback.Mode != CallbackDisabled)
}

// Observes reports whether the policy writes nothing to Twilio.
func (p *InactivityPolicy) Observes() bool { return p.Spec.Mode == ModeObserve }

// OnConflict returns what is to be done about somebody else's callback URL: ConflictRefuse if nothing is said.
func (p *InactivityPolicy) OnConflict() CallbackConflict {
	if p.Spec.Callback == nil || p.Spec.Callback.OnConflict == "" {
		return ConflictRefuse
	}
	return p.Spec.Callback.OnConflict
}

// Names reports whether the reference names the workspace; it names none that was not observed.
func (r WorkspaceReference) Names(workspace *ObservedWorkspace) bool {
	switch {
	case workspace == nil:
		return false
	case r.SID != "":
		return r.SID == workspace.SID
	default:
		return r.FriendlyName == workspace.FriendlyName
	}
}

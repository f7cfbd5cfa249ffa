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
// +kubebuilder:validation:XValidation:rule="!has(self.onTimeout) || !has(self.onTimeout.action) || self.onTimeout.action != 'Notify' || (has(self.message) && size(self.message) > 0)",message="onTimeout.action Notify only sends the message: write one in spec.message, or choose Close or WrapUp"
type InactivityPolicySpec struct {
	// credentialsSecretRef names the Secret, in the policy's namespace, with the Twilio credentials. Keys: accountSid and
	// authToken; optional apiKeySid with apiKeySecret (then used for Twilio's API, while authToken verifies callbacks),
	// previousAuthToken (still accepted on callbacks while a token is rotated), region and edge.
	// +required
	CredentialsSecretRef SecretReference `json:"credentialsSecretRef"`

	// workspace is the TaskRouter workspace whose conversations this policy watches.
	// +required
	Workspace WorkspaceReference `json:"workspace"`

	// timeout is how long a conversation may be idle before it is ended, from 1m to 24h, for example 15m or 1h30m.
	// The clock starts at the last message of a person, and never before the latest agent accepted the conversation
	// nor before the policy took effect. Twilio deletes an assigned task after 24 hours, so nothing longer can be kept.
	// +required
	Timeout Duration `json:"timeout"`

	// message is the notice sent to the customer when the conversation is ended. Absent or empty: it is ended silently.
	// 1,600 characters is what SMS and WhatsApp carry.
	// +kubebuilder:validation:MaxLength=1600
	// +optional
	Message string `json:"message,omitempty"`

	// author is the author shown on the notice. Absent: Twilio's "system".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Author string `json:"author,omitempty"`

	// suspend stops the policy from acting: no conversation is ended, and the workspace's callback is neither set nor
	// repaired. A suspended policy can still be deleted. When it is resumed, the clock of every conversation starts anew.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// onTimeout says how an idle conversation is ended. Absent: it is closed.
	// +optional
	OnTimeout *OnTimeout `json:"onTimeout,omitempty"`

	// callback says how the operator hears of events in the workspace. Absent: it sets the workspace's event callback,
	// and refuses to replace one that somebody else has set.
	// +optional
	Callback *Callback `json:"callback,omitempty"`
}

// SecretReference names a Secret in the policy's own namespace.
type SecretReference struct {
	// name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
}

// WorkspaceReference names a TaskRouter workspace by its SID or by its friendly name.
// +kubebuilder:validation:XValidation:rule="has(self.sid) != has(self.friendlyName)",message="set exactly one of sid and friendlyName, for example sid: WS0123456789abcdef0123456789abcdef or friendlyName: Flex Task Assignment"
type WorkspaceReference struct {
	// sid of the workspace: WS and 32 hexadecimal digits.
	// +kubebuilder:validation:MaxLength=34
	// +kubebuilder:validation:XValidation:rule="self.matches('^WS[0-9a-f]{32}$')",message="must be a TaskRouter workspace SID: WS followed by 32 lower-case hexadecimal digits (Twilio console: TaskRouter > Workspaces)"
	// +optional
	SID string `json:"sid,omitempty"`

	// friendlyName of the workspace, exactly as in Twilio; Flex creates one named "Flex Task Assignment".
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
	// action is Close (complete the tasks, close the conversation; also when absent), WrapUp (the same, but the tasks go
	// to wrapping for after-call work) or Notify (send the message once and end nothing).
	// +optional
	Action TimeoutAction `json:"action,omitempty"`

	// reason is recorded on the task: in its attribute inactivityPolicy, and as the Reason of a task that the operator
	// completes itself. Flex completes the tasks of an interaction, and gives them no Reason. Absent: "Inactivity timeout".
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
// +kubebuilder:validation:Enum=Refuse;Replace
type CallbackConflict string

const (
	// ConflictRefuse leaves a foreign callback URL alone and says so in the policy's status. It is what an absent
	// onConflict means.
	ConflictRefuse CallbackConflict = "Refuse"
	// ConflictReplace replaces a foreign callback URL, and puts it back when the last policy of the workspace is deleted.
	ConflictReplace CallbackConflict = "Replace"
)

// Callback says how the operator hears of events in the workspace.
type Callback struct {
	// mode is Managed (set and repair the workspace's event callback; also when absent) or Disabled (touch neither
	// workspace nor webhooks and work by sweep alone, so that no ingress is needed).
	// +optional
	Mode CallbackMode `json:"mode,omitempty"`

	// onConflict says what to do when the workspace already calls somebody else: Refuse (also when absent) or Replace.
	// +optional
	OnConflict CallbackConflict `json:"onConflict,omitempty"`
}

// InactivityPolicyStatus is what the operator has observed and done.
type InactivityPolicyStatus struct {
	// conditions of the policy: Ready, Reconciling, Stalled and CallbackConfigured.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of spec that the rest of status speaks of.
	// +kubebuilder:validation:Minimum=-1
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// workspace is the workspace that spec.workspace was resolved to.
	// +optional
	Workspace *ObservedWorkspace `json:"workspace,omitempty"`

	// effectiveSince is when the timeout took effect, by Twilio's clock. No conversation's clock starts before it.
	// +optional
	EffectiveSince *metav1.Time `json:"effectiveSince,omitempty"`

	// effectiveTimeout is the timeout that effectiveSince belongs to.
	// +kubebuilder:validation:MaxLength=32
	// +optional
	EffectiveTimeout Duration `json:"effectiveTimeout,omitempty"`

	// conversations counts the policy's conversations at the last sweep.
	// +optional
	Conversations *ConversationCounts `json:"conversations,omitempty"`

	// lastHandledReconcileAt is the value of the annotation contactcenter.flexops.dev/reconcileAt that was last acted on.
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

	// callbackUrl is the event callback that the operator has set. Absent while it has set none.
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

	// held conversations: open, but not to be touched now, because an agent left, paused or is transferring them.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Held int32 `json:"held"`

	// due conversations: open, and their next step is due.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Due int32 `json:"due"`
}

// InactivityPolicy ends the conversations of a Twilio Flex workspace that the customer has left: it tells the customer,
// completes the task and closes the conversation, exactly once.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=inactivitypolicies,scope=Namespaced,shortName=inpol,categories=twilio
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name="Workspace",type=string,JSONPath=`.status.workspace.friendlyName`
// +kubebuilder:printcolumn:name="Timeout",type=string,JSONPath=`.spec.timeout`
// +kubebuilder:printcolumn:name="Open",type=integer,JSONPath=`.status.conversations.open`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type InactivityPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
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

// ManagesCallback reports whether the policy has the operator set callbacks in Twilio, which an absent mode means too.
func (p *InactivityPolicy) ManagesCallback() bool {
	return p.Spec.Callback == nil || p.Spec.Callback.Mode != CallbackDisabled
}

// ReplacesCallback reports whether the policy lets the operator replace somebody else's callback URL.
func (p *InactivityPolicy) ReplacesCallback() bool {
	return p.Spec.Callback != nil && p.Spec.Callback.OnConflict == ConflictReplace
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

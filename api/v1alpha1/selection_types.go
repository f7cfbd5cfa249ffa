package v1alpha1

// PolicyMode says whether a policy acts.
// +kubebuilder:validation:Enum=Enforce;Observe
type PolicyMode string

const (
	// ModeEnforce acts. It is what an absent mode means.
	ModeEnforce PolicyMode = "Enforce"
	// ModeObserve decides, logs and counts, and writes nothing to Twilio.
	ModeObserve PolicyMode = "Observe"
)

// Selector chooses conversations by their task. All the fields that are given have to match.
type Selector struct {
	// channels are values of the task attribute channelType, such as sms,
	// whatsapp, messenger, web or chat; letter case does not count. 1 to 16, of
	// at most 64 characters each. Absent: every channel.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +listType=set
	// +optional
	Channels []string `json:"channels,omitempty"`

	// taskQueues are the queues that the task may be in, by friendly name,
	// exactly as in Twilio, or by SID (WQ and 32 hexadecimal digits). 1 to 64,
	// of at most 256 characters each. Absent: every queue.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +listType=set
	// +optional
	TaskQueues []string `json:"taskQueues,omitempty"`

	// expression in CEL that is true for the tasks to choose, for example
	// task.attributes.vip != true. task has sid, queue, queueSid, channel,
	// priority, age (in seconds) and attributes. An attribute that a task lacks
	// is null, unless the expression tests it with has(). A conversation for
	// which it cannot be evaluated is left alone. 1 to 2,048 characters.
	// Absent: every task.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Expression string `json:"expression,omitempty"`
}

// WaitingOn says whose silence counts.
// +kubebuilder:validation:Enum=Any;Customer
type WaitingOn string

const (
	// WaitingOnAny counts everybody's silence. It is what an absent waitingOn means.
	WaitingOnAny WaitingOn = "Any"
	// WaitingOnCustomer counts only while the customer owes the reply.
	WaitingOnCustomer WaitingOn = "Customer"
)

// Anchor is the message that the clock counts from.
// +kubebuilder:validation:Enum=LastMessage;FirstUnanswered
type Anchor string

const (
	// AnchorLastMessage is the last message of a person. It is what an absent anchor means.
	AnchorLastMessage Anchor = "LastMessage"
	// AnchorFirstUnanswered is the first message of an agent after the customer's last.
	AnchorFirstUnanswered Anchor = "FirstUnanswered"
)

// Existing says what happens to silences that began before the policy took effect.
// +kubebuilder:validation:Enum=Grace;Ignore;Immediate
type Existing string

const (
	// ExistingGrace starts their clock when the policy takes effect. It is what an absent existing means.
	ExistingGrace Existing = "Grace"
	// ExistingIgnore leaves them alone until somebody writes or accepts.
	ExistingIgnore Existing = "Ignore"
	// ExistingImmediate counts them in full.
	ExistingImmediate Existing = "Immediate"
)

// Hold names the attribute that keeps a conversation from being touched.
type Hold struct {
	// attribute of the task or of the conversation, for example inactivityHold:
	// 1 to 128 characters. true: nothing is done. A time in RFC 3339, such as
	// 2026-03-01T15:00:00Z: nothing is done until then, and the clock starts
	// then. false, null and "" hold nothing. Any other value holds, because it
	// may have been meant to.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Attribute string `json:"attribute"`
}

// Limits bound how fast conversations are ended.
type Limits struct {
	// closesPerMinute is how many conversations may begin to end in any 60
	// seconds, 1 to 6000, the longest due first. With a limit the leading
	// replica alone ends conversations, so they may end half a minute later.
	// Absent: no limit.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=6000
	// +optional
	ClosesPerMinute int32 `json:"closesPerMinute,omitempty"`
}

package v1alpha1

// Translations are a text in other languages, by BCP 47 tag.
// +kubebuilder:validation:MaxProperties=32
// +kubebuilder:validation:XValidation:rule="self.all(tag, tag.matches('^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$'))",message="each key must be a BCP 47 language tag such as es or pt-BR"
// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, b.lowerAscii() == a.lowerAscii()))",message="two keys are the same language, because letter case does not count: keep one of them"
type Translations map[string]Text

// Text is a text that is sent to a customer, as a template. It has at least one visible character, because a customer can
// do nothing with a blank message.
// +kubebuilder:validation:MaxLength=1600
// +kubebuilder:validation:XValidation:rule="self.matches(r'[^\\p{Z}\\p{Cc}\\p{Cf}]')",message="is blank: write a text, or leave out what it belongs to (the warning, the translation, unanswered)"
type Text string

// Warning is a text that is sent before the end of a silent conversation.
type Warning struct {
	// before is how long before the end the warning is sent: from 1m, and
	// shorter than timeout, in whole seconds, for example 5m. No two warnings
	// have the same.
	// +required
	Before Duration `json:"before"`

	// message of the warning, a template as spec.message is, in which
	// {{.Remaining}} is the time that is left: "Are you still there? We close
	// this chat in {{.Remaining}}." At most 1,600 characters.
	// +required
	Message Text `json:"message"`

	// translations of message, as spec.translations are of spec.message: at
	// most 32. Absent: every customer gets message.
	// +optional
	Translations Translations `json:"translations,omitempty"`
}

// Unanswered is a text for a customer who waits for an agent's reply.
type Unanswered struct {
	// after is how long the customer has waited when the text is sent: from 1m,
	// in whole seconds, for example 5m, and shorter than timeout unless
	// waitingOn is Customer. The wait begins with the customer's first message
	// that nobody has answered, and not before an agent has accepted.
	// +required
	After Duration `json:"after"`

	// message, a template as spec.message is: "Sorry to keep you waiting." At
	// most 1,600 characters.
	// +required
	Message Text `json:"message"`

	// translations of message, as spec.translations are of spec.message: at
	// most 32. Absent: every customer gets message.
	// +optional
	Translations Translations `json:"translations,omitempty"`
}

// OutsideReplyWindow says what happens to a conversation that is due when only templates are delivered.
// +kubebuilder:validation:Enum=CloseSilently;SendTemplate;Skip
type OutsideReplyWindow string

const (
	// OutsideCloseSilently ends the conversation without a text. It is what an absent outside means.
	OutsideCloseSilently OutsideReplyWindow = "CloseSilently"
	// OutsideSendTemplate sends the template that contentSid names in place of the message.
	OutsideSendTemplate OutsideReplyWindow = "SendTemplate"
	// OutsideSkip leaves the conversation as it is.
	OutsideSkip OutsideReplyWindow = "Skip"
)

// ReplyWindow is about WhatsApp and Messenger, where 24 hours after the customer's last message only templates are
// delivered (https://www.twilio.com/docs/whatsapp/key-concepts).
// +kubebuilder:validation:XValidation:rule="!has(self.outside) || self.outside != 'SendTemplate' || has(self.contentSid)",message="outside SendTemplate needs contentSid, the template to send: HX and 32 hexadecimal digits (Twilio console: Messaging > Content Template Builder)"
// +kubebuilder:validation:XValidation:rule="has(self.outside) || !has(self.contentSid)",message="contentSid is only sent with outside: SendTemplate; write that too, or leave contentSid out"
// +kubebuilder:validation:XValidation:rule="has(self.contentSid) || !has(self.contentVariables)",message="contentVariables are the values of the template that contentSid names; write that too, or leave contentVariables out"
type ReplyWindow struct {
	// outside says what happens to a conversation that is due outside the
	// window. CloseSilently (also when absent): it ends without a text, and
	// under onTimeout.action Notify nothing happens. SendTemplate: contentSid is
	// sent in place of spec.message. Skip: it is left as it is. Warnings and
	// spec.unanswered are never sent outside the window.
	// +optional
	Outside OutsideReplyWindow `json:"outside,omitempty"`

	// contentSid is the template for SendTemplate: HX and 32 hexadecimal
	// digits, from the Twilio console under Messaging > Content Template
	// Builder. WhatsApp must have approved it. Absent: there is none to send.
	// +kubebuilder:validation:MaxLength=34
	// +kubebuilder:validation:XValidation:rule="self.matches('^HX[0-9a-fA-F]{32}$')",message="must be the SID of a content template: HX followed by 32 hexadecimal digits (Twilio console: Messaging > Content Template Builder)"
	// +optional
	ContentSID string `json:"contentSid,omitempty"`

	// contentVariables are the values of the template's variables by name, for
	// example "1": "{{.Customer.Name}}": at most 32, each of 1 to 256
	// characters. The values are templates as spec.message is; one that turns
	// out empty is sent as "-", because WhatsApp refuses empty ones. Absent:
	// the template is sent without values.
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(name, name.matches('^[A-Za-z0-9_]{1,32}$'))",message="each key must be the name of a variable of the template: 1 to 32 letters, digits and underscores"
	// +optional
	ContentVariables map[string]ContentVariable `json:"contentVariables,omitempty"`
}

// ContentVariable is the value of a variable of a content template, itself a template.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
type ContentVariable string

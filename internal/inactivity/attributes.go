package inactivity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// AttributeKey is the key of the operator's entry in the attributes of tasks (a Claim) and messages (a Marker).
const AttributeKey = "inactivityPolicy"

// MaxTaskAttributes is how many characters the attributes of a task may have
// (https://www.twilio.com/docs/taskrouter/limits).
const MaxTaskAttributes = 4096

// ErrNoRoom says that the operator's entry does not fit into a task's attributes.
var ErrNoRoom = errors.New("no room left in the task's attributes")

// Step is a step of an episode that happens at most once.
type Step string

const (
	// StepNotice is the notice to the customer.
	StepNotice Step = "notice"
	// StepFinish is the end of the tasks; it is claimed on its own when there is no notice to send.
	StepFinish Step = "finish"
	// StepWarning is a warning that the end is near.
	StepWarning Step = "warning"
	// StepUnanswered is the text for a customer who waits for an agent's reply.
	StepUnanswered Step = "unanswered"
)

// TaskAttributes is what the operator reads of a task's attributes.
type TaskAttributes struct {
	// Raw is the JSON text as Twilio gave it, to be kept when the operator's entry is written.
	Raw string
	// ConversationSID is empty for voice and other tasks without a conversation.
	ConversationSID string
	// Channel is the interaction channel; zero when the task was not made by Flex interactions.
	Channel ChannelRef
	// ChannelType is sms, whatsapp, messenger, web and so on.
	ChannelType string
	// CustomerAddresses are the names under which the customer's messages are written.
	CustomerAddresses []string
	// Claim is the operator's entry.
	Claim *Claim

	// fields are Raw's, as ParseTaskAttributes has read them; nil if it has not. They are shared, and only read.
	fields map[string]json.RawMessage
}

// object splits the attributes into their fields, which must not be changed.
func (a TaskAttributes) object() (map[string]json.RawMessage, error) {
	if a.fields != nil {
		return a.fields, nil
	}
	return object(a.Raw)
}

// Claim is the operator's entry in a task's attributes. Writing it with If-Match is the lock under which a step is
// done, and it stays as the record of who ended the conversation and why.
type Claim struct {
	Policy  string    `json:"policy"`
	Step    Step      `json:"step"`
	Episode string    `json:"episode"`
	At      time.Time `json:"at"`
	// IdleSeconds is how long the conversation had been idle.
	IdleSeconds int64 `json:"idleSeconds"`
	// BeforeSeconds says which warning it is: how long before the end. 0 for other steps.
	BeforeSeconds int64 `json:"beforeSeconds,omitempty"`
	// WaitingOn says who owed the reply: Customer or Agent.
	WaitingOn Turn `json:"waitingOn,omitempty"`
	// Warnings is how many warnings the customer has been sent in the episode.
	Warnings int `json:"warnings,omitempty"`
	// Reason is the policy's reason. Flex completes the tasks of an interaction without one, so it is recorded here too.
	Reason string `json:"reason,omitempty"`
	// Refused are the texts that Twilio has refused for good, so that they are not tried again.
	Refused []EpisodeText `json:"refused,omitempty"`
}

// EpisodeText names a text that can be sent in an episode: a warning, the holding text or the notice.
type EpisodeText struct {
	Step          Step   `json:"step"`
	Episode       string `json:"episode"`
	BeforeSeconds int64  `json:"beforeSeconds,omitempty"`
}

// maxRefused bounds the record of refused texts: a policy has fewer.
const maxRefused = 10

// WithRefusal returns the claim with a note that its own text was refused.
func (c Claim) WithRefusal() Claim {
	c.Refused = append(slices.Clone(c.Refused), c.text())
	if extra := len(c.Refused) - maxRefused; extra > 0 {
		c.Refused = c.Refused[extra:]
	}
	return c
}

// text names the text that the claim is for.
func (c Claim) text() EpisodeText {
	return EpisodeText{Step: c.Step, Episode: c.Episode, BeforeSeconds: c.BeforeSeconds}
}

// IdleSince is when the episode began that the claim is for.
func (c Claim) IdleSince() time.Time { return c.At.Add(-time.Duration(c.IdleSeconds) * time.Second) }

// Marker is the operator's entry in the attributes of a message it wrote.
type Marker struct {
	Policy  string `json:"policy"`
	Step    Step   `json:"step"`
	Episode string `json:"episode"`
	// IdleSince is when the episode began. Whatever a person has written later, the message was sent without
	// knowing of it, even if it was sent afterwards.
	IdleSince time.Time `json:"idleSince"`
	// BeforeSeconds says which warning it is: how long before the end. 0 for other steps.
	BeforeSeconds int64                  `json:"beforeSeconds,omitempty"`
	Action        v1alpha1.TimeoutAction `json:"action,omitempty"`
	// Channels are the interaction channels of the tasks that a notice was sent for. Twilio deletes tasks; without them
	// nobody could say whether an agent has put the conversation aside since.
	Channels []ChannelRef `json:"channels,omitempty"`
}

// text names the text that the marker is on.
func (m Marker) text() EpisodeText {
	return EpisodeText{Step: m.Step, Episode: m.Episode, BeforeSeconds: m.BeforeSeconds}
}

// ParseTaskAttributes reads a task's attributes. Values of an unexpected type count as absent: the attributes belong
// to other programs. Only text that is not a JSON object is an error.
func ParseTaskAttributes(raw string) (TaskAttributes, error) {
	fields, err := object(raw)
	if err != nil {
		return TaskAttributes{}, fmt.Errorf("reading task attributes: %w", err)
	}
	attributes := TaskAttributes{
		Raw:             raw,
		ConversationSID: text(fields["conversationSid"]),
		ChannelType:     text(fields["channelType"]),
		fields:          fields,
	}
	channel := ChannelRef{
		InteractionSID: text(fields["flexInteractionSid"]),
		ChannelSID:     text(fields["flexInteractionChannelSid"]),
	}
	if channel.InteractionSID != "" && channel.ChannelSID != "" {
		attributes.Channel = channel
	}
	for _, key := range []string{"customerAddress", "from"} {
		if address := text(fields[key]); address != "" {
			attributes.CustomerAddresses = append(attributes.CustomerAddresses, address)
		}
	}
	var claim Claim
	if entry, found := fields[AttributeKey]; found && json.Unmarshal(entry, &claim) == nil {
		attributes.Claim = &claim
	}
	return attributes, nil
}

// isPhoneNumber matches a phone number as Twilio writes it.
var isPhoneNumber = regexp.MustCompile(`^\+[0-9]{5,15}$`)

// CustomerName is the customer's name; empty when it is not known. Flex puts the address there when it knows no name, and an
// address is no name.
func (a TaskAttributes) CustomerName() string {
	fields, err := a.object()
	if err != nil {
		return ""
	}
	name := strings.TrimSpace(text(fields["customerName"]))
	isAddress := slices.ContainsFunc(a.CustomerAddresses, func(address string) bool {
		_, bare, _ := strings.Cut(address, ":")
		return name == address || name == bare
	})
	if isAddress || isPhoneNumber.MatchString(name) {
		return ""
	}
	return name
}

// Values are all attributes, as encoding/json decodes them.
func (a TaskAttributes) Values() map[string]any {
	values := map[string]any{}
	if json.Unmarshal([]byte(a.Raw), &values) != nil || values == nil {
		return map[string]any{}
	}
	return values
}

// Texts are the attributes that can stand in a text: strings, numbers and truth values.
func (a TaskAttributes) Texts() map[string]string {
	fields, err := a.object()
	if err != nil {
		return nil
	}
	texts := map[string]string{}
	for key, field := range fields {
		switch field[0] {
		case '{', '[', 'n':
		case '"':
			texts[key] = text(field)
		default:
			texts[key] = string(field)
		}
	}
	return texts
}

// Text is an attribute that is a string; empty otherwise.
func (a TaskAttributes) Text(key string) string {
	fields, err := a.object()
	if err != nil {
		return ""
	}
	return text(fields[key])
}

// WithClaim returns the attributes as JSON text with the operator's entry set and every other key kept as it was. It
// returns ErrNoRoom when the text would be longer than Twilio takes.
func (a TaskAttributes) WithClaim(claim Claim) (string, error) {
	fields, err := a.object()
	if err != nil {
		return "", fmt.Errorf("reading task attributes: %w", err)
	}
	entry, err := encode(claim)
	if err != nil {
		return "", err
	}
	fields = maps.Clone(fields)
	fields[AttributeKey] = entry
	merged, err := encode(fields)
	if err != nil {
		return "", err
	}
	if length := utf8.RuneCount(merged); length > MaxTaskAttributes {
		return "", fmt.Errorf("%w: %d characters with the operator's entry, %d allowed", ErrNoRoom, length, MaxTaskAttributes)
	}
	return string(merged), nil
}

// Attributes returns the message attributes that hold the marker, as JSON text.
func (m Marker) Attributes() (string, error) {
	merged, err := encode(map[string]Marker{AttributeKey: m})
	return string(merged), err
}

// ParseMarker reads the marker out of a message's attributes; nil when there is none.
func ParseMarker(raw string) *Marker {
	fields, err := object(raw)
	if err != nil {
		return nil
	}
	var marker Marker
	entry, found := fields[AttributeKey]
	if !found || json.Unmarshal(entry, &marker) != nil || marker.Episode == "" {
		return nil
	}
	return &marker
}

// object splits a JSON object into its fields; absent text and null are the empty object.
func object(raw string) (map[string]json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if raw == "" {
		return fields, nil
	}
	if err := json.Unmarshal([]byte(raw), &fields); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if fields == nil {
		fields = map[string]json.RawMessage{}
	}
	return fields, nil
}

// text returns the string a field holds, or "".
func text(field json.RawMessage) string {
	var value string
	if len(field) == 0 || json.Unmarshal(field, &value) != nil {
		return ""
	}
	return value
}

// encode writes JSON without escaping HTML characters, which would lengthen and alter other programs' values.
func encode(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encoding attributes: %w", err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

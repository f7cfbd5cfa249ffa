package twiliosim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Other programs of the contact centre: bots, plugins, integrations. What they do is not a REST request in the journal, so
// that Writes holds the requests of the program under test alone.

// Join lets somebody take part by chat under an identity, such as a bot or a supervisor; Say with that identity lets
// them write.
func (s *Simulator) Join(conversationSID, identity string) (participantSID string, err error) {
	s.lock()
	defer s.mu.Unlock()
	answer, err := s.onBehalf(conversationSID, "join", url.Values{"Identity": {identity}}, s.createParticipant)
	if err != nil {
		return "", err
	}
	return answer.(participantJSON).SID, nil
}

// Post is a program that writes by REST: author is whatever name it gives itself, "system" when empty. Unless it is the
// identity of a participant, the message belongs to none.
func (s *Simulator) Post(conversationSID, author, body string) (messageSID string, err error) {
	s.lock()
	defer s.mu.Unlock()
	answer, err := s.onBehalf(conversationSID, "post", url.Values{"Author": {author}, "Body": {body}}, s.createMessage)
	if err != nil {
		return "", err
	}
	return answer.(messageJSON).SID, nil
}

// AddWebhook adds somebody else's scoped webhook to a conversation.
func (s *Simulator) AddWebhook(conversationSID, address string, filters ...string) (webhookSID string, err error) {
	s.lock()
	defer s.mu.Unlock()
	answer, err := s.onBehalf(conversationSID, "add a webhook", url.Values{
		"Target": {"webhook"}, "Configuration.Url": {address}, "Configuration.Method": {"post"},
		"Configuration.Filters": filters,
	}, s.createWebhook)
	if err != nil {
		return "", err
	}
	return answer.(webhookJSON).SID, nil
}

// SetTaskAttribute writes one attribute of a task, as JSON, and leaves the others as they are; nil is null. The task gets
// a new version.
func (s *Simulator) SetTaskAttribute(taskSID, key string, value any) error {
	return s.changeTaskAttributes(taskSID, map[string]any{key: value})
}

// RemoveTaskAttribute takes one attribute out of a task.
func (s *Simulator) RemoveTaskAttribute(taskSID, key string) error {
	return s.changeTaskAttributes(taskSID, nil, key)
}

// SetConversationAttribute writes one attribute of a conversation, as JSON, and leaves the others as they are; nil is
// null.
func (s *Simulator) SetConversationAttribute(conversationSID, key string, value any) error {
	return s.changeConversationAttributes(conversationSID, map[string]any{key: value})
}

// RemoveConversationAttribute takes one attribute out of a conversation.
func (s *Simulator) RemoveConversationAttribute(conversationSID, key string) error {
	return s.changeConversationAttributes(conversationSID, nil, key)
}

func (s *Simulator) changeTaskAttributes(taskSID string, set map[string]any, remove ...string) error {
	return s.taskAct(taskSID, "gets attributes", func(t *task) error {
		changed, err := withAttributes(t.attributes, set, remove)
		if err != nil {
			return err
		}
		if refusal := checkTaskAttributes(changed); refusal != nil {
			return refusal
		}
		if err := s.setTaskAttributes(t, changed); err != nil {
			return err
		}
		s.touch(t)
		s.taskEvent(t, "task.updated", "Task "+t.sid+" updated")
		return nil
	})
}

func (s *Simulator) changeConversationAttributes(conversationSID string, set map[string]any, remove ...string) error {
	s.lock()
	defer s.mu.Unlock()
	const what = "conversation gets attributes"
	c, err := s.find(conversationSID)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	changed, err := withAttributes(c.attributes, set, remove)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	_, err = s.onBehalf(c.sid, what, url.Values{"Attributes": {changed}}, s.updateConversation)
	return err
}

// withAttributes lays changes over attributes.
func withAttributes(text string, set map[string]any, remove []string) (string, error) {
	if len(set)+len(remove) == 0 {
		return "", errors.New("attributes are missing: say which to set or to remove")
	}
	var attributes map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &attributes); err != nil {
		return "", fmt.Errorf("the attributes are not a JSON object: %w", err)
	}
	if attributes == nil { // null
		attributes = map[string]json.RawMessage{}
	}
	for key, value := range set {
		encoded, err := json.Marshal(value)
		if err != nil {
			return "", fmt.Errorf("attribute %q: %w", key, err)
		}
		attributes[key] = encoded
	}
	for _, key := range remove {
		delete(attributes, key)
	}
	return encode(attributes), nil
}

// onBehalf does for a program what a REST request for the conversation would do. The caller holds the state.
func (s *Simulator) onBehalf(conversationSID, what string, form url.Values, do func(*request) (*reply, *apiError)) (any, error) {
	c, err := s.find(conversationSID)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	s.note(KindPeople, "program: "+what, c.sid)
	answer, refusal := do(&request{vars: []string{c.sid}, prefix: "/v1", form: form, header: http.Header{}})
	if refusal != nil {
		return nil, fmt.Errorf("%s: %w", what, refusal)
	}
	return answer.body, nil
}

package twiliosim

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Who says something.
const (
	// Customer is the person who wrote in.
	Customer = "customer"
	// Agent is the worker who accepted.
	Agent = "agent"
)

// sourceSDK is the Source of a webhook for what somebody did in a chat client.
const sourceSDK = "SDK"

// Started is what exists when somebody has written, called or been transferred.
type Started struct {
	ConversationSID string `json:"conversationSid,omitempty"`
	TaskSID         string `json:"taskSid,omitempty"`
	ReservationSID  string `json:"reservationSid,omitempty"`
	InteractionSID  string `json:"interactionSid,omitempty"`
	ChannelSID      string `json:"channelSid,omitempty"`
	WorkspaceSID    string `json:"workspaceSid"`
}

// channelKinds are the channels a customer can write on, with their task channel.
var channelKinds = map[string]string{
	"sms": "sms", "whatsapp": "sms", "messenger": "sms", "web": "chat", "chat": "chat",
}

// addresses are the customer's and the contact centre's messaging address; empty on a channel without addresses.
func addresses(channel, from, proxy string) (address, proxyAddress string) {
	switch channel {
	case "sms":
		return from, proxy
	case "whatsapp", "messenger":
		prefix := channel + ":"
		if len(from) > len(prefix) && from[:len(prefix)] == prefix {
			return from, prefix + proxy
		}
		return prefix + from, prefix + proxy
	}
	return "", ""
}

func encode(v any) string {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("twilio simulator: encode attributes: %v", err))
	}
	return string(encoded)
}

// latest describes a conversation and its newest task.
func (c *conversation) latest() Started {
	started := Started{ConversationSID: c.sid, WorkspaceSID: c.workspace.sid}
	if ch := c.channel; ch != nil {
		started.ChannelSID, started.InteractionSID = ch.sid, ch.interaction.sid
	}
	if n := len(c.tasks); n > 0 {
		t := c.tasks[n-1]
		started.TaskSID = t.sid
		if m := len(t.reservations.order); m > 0 {
			started.ReservationSID = t.reservations.order[m-1].sid
		}
	}
	return started
}

// StartVoiceTask is a customer who calls: a task that has no conversation.
func (s *Simulator) StartVoiceTask() (Started, error) {
	s.lock()
	defer s.mu.Unlock()
	w := s.account.flexWorkspace
	t := s.newTask(w, encode(map[string]any{
		"call_sid": s.newResource("CA").sid, "direction": "inbound", "from": "+15005550009", "name": "+15005550009",
		"called": s.account.proxyAddress, "caller": "+15005550009",
	}), w.channels["voice"], defaultTaskTimeout)
	s.note(KindPeople, "customer calls", t.sid)
	rv := s.announceTask(t)
	return Started{TaskSID: t.sid, ReservationSID: rv.sid, WorkspaceSID: w.sid}, nil
}

// Say is a message of the customer's or of the agent's (Customer or Agent), or of whoever takes part by chat under the
// given identity.
func (s *Simulator) Say(conversationSID, who, body string) error {
	s.lock()
	defer s.mu.Unlock()
	c, err := s.find(conversationSID)
	switch {
	case err != nil:
		return fmt.Errorf("say: %w", err)
	case c.state == stateClosed:
		return fmt.Errorf("say: conversation %s is closed", c.sid)
	case body == "":
		return fmt.Errorf("say: body is empty: say what the %s writes", who)
	}
	if who == Customer {
		if c.customer == "" {
			return fmt.Errorf("say: conversation %s has no customer", c.sid)
		}
		if err := s.customerSays(c, body); err != nil {
			return fmt.Errorf("say: %w", err)
		}
		return nil
	}
	for _, p := range slices.Backward(c.participants.order) {
		if p.identity == "" || p.identity != who && (who != Agent || c.workspace == nil || c.workspace.worker(p.identity) == nil) {
			continue
		}
		what := "participant writes"
		if who == Agent {
			what = "agent writes"
		}
		s.note(KindPeople, what, c.sid)
		m := s.addMessage(c, &message{author: p.identity, body: &body, attributes: "{}"}, byPeople, true)
		s.messageEvent(c, m, sourceSDK)
		return nil
	}
	if who == Agent {
		return fmt.Errorf("say: no agent is in conversation %s: accept a reservation first", c.sid)
	}
	return fmt.Errorf("say: from is %q: say customer, agent or the identity of who takes part by chat", who)
}

// worker finds a worker by name.
func (w *workspace) worker(name string) *worker {
	for _, candidate := range w.workers {
		if candidate.name == name {
			return candidate
		}
	}
	return nil
}

func (s *Simulator) customerMessage(c *conversation, body string) *message {
	return &message{author: c.customer, body: &body, attributes: "{}"}
}

// customerSays files a customer's message. One that comes after the agent left makes a new task of the same
// conversation. The caller holds the state and has checked that the conversation is not closed.
func (s *Simulator) customerSays(c *conversation, body string) error {
	s.note(KindPeople, "customer writes", c.sid)
	m := s.addMessage(c, s.customerMessage(c, body), byPeople, true)
	source := sourceSDK
	for _, p := range c.participants.order {
		if p.sid == m.participantSID && p.address != "" {
			source = map[string]string{"sms": "SMS", "whatsapp": "WHATSAPP", "messenger": "MESSENGER"}[p.bindingType]
		}
	}
	s.messageEvent(c, m, source)
	if ch := c.channel; ch != nil && ch.status == channelInactive {
		ch.status = channelActive
		_, err := s.invite(c, c.again())
		return err
	}
	return nil
}

// find finds a conversation by SID. The caller holds the state.
func (s *Simulator) find(conversationSID string) (*conversation, error) {
	c, known := s.conversations.get(conversationSID)
	if !known {
		return nil, fmt.Errorf("there is no conversation %s", conversationSID)
	}
	return c, nil
}

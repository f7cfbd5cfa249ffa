package twiliosim

import (
	"encoding/json"
	"fmt"
	"net/http"
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

// StartConversation is a customer who writes: channel is sms, whatsapp, messenger, web or chat; from is the phone
// number, the address, or on web and chat the identity. It makes conversation, interaction, channel, task and a
// reservation for a free agent. A customer who has a conversation that is not closed gets into that one.
func (s *Simulator) StartConversation(channel, from, body string) (Started, error) {
	return s.start(channel, from, body, s.WorkspaceSID(), true)
}

// StartConversationIn is StartConversation in another workspace.
func (s *Simulator) StartConversationIn(workspaceSID, channel, from, body string) (Started, error) {
	return s.start(channel, from, body, workspaceSID, true)
}

// StartPlainConversation is StartConversation in a set-up without Interactions: the task has neither
// flexInteractionSid nor flexInteractionChannelSid.
func (s *Simulator) StartPlainConversation(channel, from, body string) (Started, error) {
	return s.start(channel, from, body, s.WorkspaceSID(), false)
}

func (s *Simulator) start(channel, from, body, workspaceSID string, interactions bool) (Started, error) {
	s.lock()
	defer s.mu.Unlock()
	w, known := s.workspaces.get(workspaceSID)
	if !known {
		return Started{}, fmt.Errorf("start a conversation: there is no workspace %s", workspaceSID)
	}
	if _, known := channelKinds[channel]; !known {
		return Started{}, fmt.Errorf("start a conversation: channel is %q: say sms, whatsapp, messenger, web or chat", channel)
	}
	if from == "" {
		return Started{}, fmt.Errorf("start a conversation: from is empty: say a phone number or an identity")
	}
	if body == "" {
		return Started{}, fmt.Errorf("start a conversation: body is empty: say what the customer writes")
	}
	address, proxy := addresses(channel, from, s.account.proxyAddress)
	if c := s.bound(address, proxy); c != nil {
		s.customerSays(c, body)
		return c.latest(), nil
	}

	c := s.newConversation()
	c.channelType, c.workspace, c.customer = channel, w, from
	customer := &participant{identity: from}
	if address != "" {
		c.customer = address
		customer = &participant{bindingType: bindingType(address), address: address, proxy: proxy}
	}
	s.addParticipant(c, customer)
	if interactions {
		i := &interaction{resource: s.newResource("KD"), workspace: w}
		ch := &interactionChannel{
			resource: s.newResource("UO"), interaction: i, kind: channel, status: channelActive, conversation: c,
		}
		ch.participants.add(&interactionParticipant{resource: s.newResource("UT"), kind: Customer})
		i.channels.add(ch)
		s.interactions[i.sid] = i
		c.channel = ch
	}
	s.startTimer(c)
	s.note(KindPeople, "customer starts", c.sid)
	s.addMessage(c, s.customerMessage(c, body), byPeople, true)
	s.invite(c)
	return c.latest(), nil
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

// invite makes a task for a conversation and offers it to an agent. The caller holds the state.
func (s *Simulator) invite(c *conversation) *task {
	attributes := map[string]any{
		"channelType":     c.channelType,
		"conversationSid": c.sid,
		"customerAddress": c.customer,
		"customerName":    c.customer,
		"customers":       map[string]any{"name": c.customer, "phone": c.customer},
		"from":            c.customer,
		"name":            c.customer,
		"direction":       "inbound",
		"initiatedBy":     Customer,
	}
	details := map[string]any{
		"conversation_id": c.sid, "initiated_by": Customer, "direction": "inbound",
		"communication_channel": c.channelType,
		"media":                 []any{map[string]any{"type": "ChatTranscript", "sid": c.sid, "conversation_sid": c.sid}},
	}
	var offered *invite
	if ch := c.channel; ch != nil {
		offered = &invite{resource: s.newResource("KG")}
		attributes["flexInteractionSid"] = ch.interaction.sid
		attributes["flexInteractionChannelSid"] = ch.sid
		attributes["flexChannelInviteSid"] = offered.sid
		details["conversation_id"] = ch.interaction.sid
	}
	attributes["conversations"] = details

	t := s.newTask(c.workspace, encode(attributes), c.workspace.channels[channelKinds[c.channelType]], defaultTaskTimeout)
	t.conversation, t.interaction = c, c.channel
	c.tasks = append(c.tasks, t)
	if ch := c.channel; ch != nil {
		offered.task = t
		ch.invites.add(offered)
		if ch.interaction.first == nil {
			ch.interaction.first = t
		}
	}
	s.announceTask(t)
	return t
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

// Say is a message of the customer's or of the agent's (Customer or Agent).
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
	switch who {
	case Customer:
		if c.customer == "" {
			return fmt.Errorf("say: conversation %s has no customer", c.sid)
		}
		s.customerSays(c, body)
		return nil
	case Agent:
		for _, p := range slices.Backward(c.participants.order) {
			if c.workspace != nil && c.workspace.worker(p.identity) != nil {
				s.note(KindPeople, "agent writes", c.sid)
				m := s.addMessage(c, &message{author: p.identity, body: &body, attributes: "{}"}, byPeople, true)
				s.messageEvent(c, m, sourceSDK)
				return nil
			}
		}
		return fmt.Errorf("say: no agent is in conversation %s: accept a reservation first", c.sid)
	}
	return fmt.Errorf("say: from is %q: say customer or agent", who)
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
func (s *Simulator) customerSays(c *conversation, body string) {
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
		s.invite(c)
	}
}

// find finds a conversation by SID. The caller holds the state.
func (s *Simulator) find(conversationSID string) (*conversation, error) {
	c, known := s.conversations.get(conversationSID)
	if !known {
		return nil, fmt.Errorf("there is no conversation %s", conversationSID)
	}
	return c, nil
}

// AddWebhook adds somebody else's scoped webhook to a conversation.
func (s *Simulator) AddWebhook(conversationSID, address string, filters ...string) (webhookSID string, err error) {
	s.lock()
	defer s.mu.Unlock()
	c, err := s.find(conversationSID)
	if err != nil {
		return "", fmt.Errorf("add a webhook: %w", err)
	}
	r := &request{vars: []string{c.sid}, prefix: "/v1", form: map[string][]string{
		"Target": {"webhook"}, "Configuration.Url": {address}, "Configuration.Method": {"post"},
		"Configuration.Filters": filters,
	}, header: http.Header{}}
	answer, refusal := s.createWebhook(r)
	if refusal != nil {
		return "", fmt.Errorf("add a webhook: %w", refusal)
	}
	return answer.body.(webhookJSON).SID, nil
}

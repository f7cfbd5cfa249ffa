package twiliosim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// Start is a conversation to start. Channel and From have to be said; a customer has to write a Body as well.
type Start struct {
	// Channel is sms, whatsapp, messenger, web or chat.
	Channel string `json:"channel"`
	// From is the customer, also when an agent begins: the phone number, the address, on web and chat the identity.
	From string `json:"from"`
	// Body is the first message. When an agent begins it may be empty: the agent has not written yet.
	Body string `json:"body"`
	// WorkspaceSID is where the task goes; the Flex workspace when empty.
	WorkspaceSID string `json:"workspaceSid"`
	// Queue is the task queue, by name or SID; "Everyone" when empty.
	Queue string `json:"queue"`
	// Priority is the task's priority in TaskRouter.
	Priority int `json:"priority"`
	// Attributes are further attributes of the task, such as language or vip; they replace Flex's own of the same name,
	// such as customerName.
	Attributes map[string]any `json:"attributes"`
	// ParticipantAttributes are the attributes of the customer's participant, such as {"member_type": "guest"}.
	ParticipantAttributes map[string]any `json:"participantAttributes"`
	// Plain is a set-up without Interactions: the task has neither flexInteractionSid nor flexInteractionChannelSid.
	Plain bool `json:"plain"`
	// Anonymous leaves out of the task who the customer is: customerAddress, customerName, customers, from and name. Web
	// chats of one's own making do so.
	Anonymous bool `json:"anonymous"`
	// Outbound is a conversation that an agent begins, by SMS, WhatsApp or Messenger. Its task is routed to that agent and
	// accepted already; the customer is a participant who has not written.
	Outbound bool `json:"outbound"`
}

// StartConversation is a customer who writes: channel is sms, whatsapp, messenger, web or chat; from is the phone
// number, the address, or on web and chat the identity. It makes conversation, interaction, channel, task and a
// reservation for a free agent. A customer who has a conversation that is not closed gets into that one.
func (s *Simulator) StartConversation(channel, from, body string) (Started, error) {
	return s.StartConversationWith(Start{Channel: channel, From: from, Body: body})
}

// StartConversationIn is StartConversation in another workspace.
func (s *Simulator) StartConversationIn(workspaceSID, channel, from, body string) (Started, error) {
	return s.StartConversationWith(Start{Channel: channel, From: from, Body: body, WorkspaceSID: workspaceSID})
}

// StartPlainConversation is StartConversation in a set-up without Interactions: the task has neither
// flexInteractionSid nor flexInteractionChannelSid.
func (s *Simulator) StartPlainConversation(channel, from, body string) (Started, error) {
	return s.StartConversationWith(Start{Channel: channel, From: from, Body: body, Plain: true})
}

// StartConversationWith is StartConversation with everything that can be chosen. A customer who gets into a conversation
// that is not closed only writes there: the other choices are for a new one.
func (s *Simulator) StartConversationWith(start Start) (Started, error) {
	s.lock()
	defer s.mu.Unlock()
	started, err := s.start(start)
	if err != nil {
		return Started{}, fmt.Errorf("start a conversation: %w", err)
	}
	return started, nil
}

// check finds what is missing or makes no sense.
func (start Start) check() error {
	_, known := channelKinds[start.Channel]
	chat := start.Channel == "web" || start.Channel == "chat"
	switch {
	case !known:
		return fmt.Errorf("channel is %q: say sms, whatsapp, messenger, web or chat", start.Channel)
	case start.From == "":
		return errors.New("from is empty: say a phone number or an identity")
	case start.Body == "" && !start.Outbound:
		return errors.New("body is empty: say what the customer writes")
	case start.Outbound && chat:
		return fmt.Errorf("channel is %q: an agent begins by sms, whatsapp or messenger", start.Channel)
	case start.Priority < 0:
		return fmt.Errorf("priority is %d: say 0 or more", start.Priority)
	}
	return nil
}

// start makes the conversation. The caller holds the state.
func (s *Simulator) start(start Start) (Started, error) {
	if err := start.check(); err != nil {
		return Started{}, err
	}
	w := s.account.flexWorkspace
	if start.WorkspaceSID != "" {
		found, known := s.workspaces.get(start.WorkspaceSID)
		if !known {
			return Started{}, fmt.Errorf("there is no workspace %s", start.WorkspaceSID)
		}
		w = found
	}
	queue, err := w.queueOr(start.Queue, w.queue)
	if err != nil {
		return Started{}, err
	}
	participantAttributes, err := encodeObject(start.ParticipantAttributes)
	if err != nil {
		return Started{}, fmt.Errorf("participantAttributes: %w", err)
	}
	address, proxy := addresses(start.Channel, start.From, s.account.proxyAddress)
	if c := s.bound(address, proxy); c != nil {
		if start.Outbound {
			return Started{}, fmt.Errorf("the customer is in conversation %s already", c.sid)
		}
		if err := s.customerSays(c, start.Body); err != nil {
			return Started{}, err
		}
		return c.latest(), nil
	}

	c := s.newConversation()
	c.channelType, c.workspace, c.customer = start.Channel, w, start.From
	c.anonymous, c.outbound = start.Anonymous, start.Outbound
	customer := &participant{identity: start.From}
	if address != "" {
		c.customer = address
		customer = &participant{bindingType: bindingType(address), address: address, proxy: proxy}
	}
	customer.attributes = participantAttributes
	s.addParticipant(c, customer)
	if !start.Plain {
		s.addInteraction(c)
	}
	s.startTimer(c)
	invitation := invitation{queue: queue, priority: start.Priority, attributes: start.Attributes}
	if start.Outbound {
		err = s.agentBegins(c, invitation, start.Body)
	} else {
		s.note(KindPeople, "customer starts", c.sid)
		s.addMessage(c, s.customerMessage(c, start.Body), byPeople, true)
		_, err = s.invite(c, invitation)
	}
	if err != nil {
		if c.channel != nil {
			delete(s.interactions, c.channel.interaction.sid)
		}
		s.forget(c)
		return Started{}, err
	}
	return c.latest(), nil
}

// encodeObject is a JSON object's text; that of an empty one for nil.
func encodeObject(object map[string]any) (string, error) {
	if object == nil {
		return "{}", nil
	}
	encoded, err := json.Marshal(object)
	return string(encoded), err
}

// addInteraction makes the interaction of a new conversation. The caller holds the state.
func (s *Simulator) addInteraction(c *conversation) {
	i := &interaction{resource: s.newResource("KD"), workspace: c.workspace}
	c.channel = &interactionChannel{
		resource: s.newResource("UO"), interaction: i, kind: c.channelType, status: channelActive, conversation: c,
	}
	c.channel.participants.add(&interactionParticipant{resource: s.newResource("UT"), kind: Customer})
	i.channels.add(c.channel)
	s.interactions[i.sid] = i
}

// agentBegins routes the task to an agent, who accepts and perhaps writes. The caller holds the state.
func (s *Simulator) agentBegins(c *conversation, to invitation, body string) error {
	s.note(KindPeople, "agent starts", c.sid)
	to.worker = c.workspace.nextAgent()
	t, err := s.invite(c, to)
	if err != nil {
		return err
	}
	if refusal := s.acceptReservation(t.reservations.order[0]); refusal != nil {
		return refusal
	}
	if body != "" {
		s.addMessage(c, &message{author: to.worker.name, body: &body, attributes: "{}"}, byPeople, true)
	}
	return nil
}

// nextAgent is the one whose turn it is.
func (w *workspace) nextAgent() *worker { return w.workers[w.nextWorker%len(w.workers)] }

// queueOr finds a task queue by name or SID; otherwise when none is named.
func (w *workspace) queueOr(name string, otherwise named) (named, error) {
	if name == "" {
		return otherwise, nil
	}
	if q, known := w.findQueue(name); known {
		return q, nil
	}
	return named{}, fmt.Errorf("there is no task queue %q in workspace %s: add it first", name, w.sid)
}

// invitation is what a new task of a conversation is made with.
type invitation struct {
	queue      named
	priority   int
	attributes map[string]any // laid over Flex's own
	worker     *worker        // to whom it is routed; nil: whose turn it is
	transfer   bool
}

// again invites into the queue and with the priority of the conversation's newest task. Its attributes are not carried
// over, as Flex does not do so either
// (https://www.twilio.com/docs/flex/developer/conversations/interactions-api/invites-subresource).
func (c *conversation) again() invitation { return invitation{queue: c.queue, priority: c.priority} }

// invite makes a task for a conversation and offers it to an agent. It fails, and changes nothing, when the task's
// attributes would be too long. The caller holds the state.
func (s *Simulator) invite(c *conversation, to invitation) (*task, error) {
	var offered *invite
	if c.channel != nil {
		offered = &invite{resource: s.newResource("KG")}
	}
	attributes := c.taskAttributes(offered)
	maps.Copy(attributes, to.attributes)
	encoded, err := encodeObject(attributes)
	if err != nil {
		return nil, fmt.Errorf("attributes: %w", err)
	}
	if refusal := checkTaskAttributes(encoded); refusal != nil {
		return nil, refusal
	}

	t := s.newTask(c.workspace, encoded, c.workspace.channels[channelKinds[c.channelType]], defaultTaskTimeout)
	t.conversation, t.interaction, t.transfer = c, c.channel, to.transfer
	t.queue, t.priority = to.queue, to.priority
	c.queue, c.priority = to.queue, to.priority
	if to.worker != nil {
		t.routingTarget = to.worker.sid
	}
	c.tasks = append(c.tasks, t)
	if ch := c.channel; ch != nil {
		offered.task = t
		ch.invites.add(offered)
		if ch.interaction.first == nil {
			ch.interaction.first = t
		}
	}
	s.announceTask(t)
	return t, nil
}

// taskAttributes are the attributes that Flex gives a task of the conversation.
func (c *conversation) taskAttributes(offered *invite) map[string]any {
	direction, initiatedBy := "inbound", Customer
	if c.outbound {
		direction, initiatedBy = "outbound", Agent
	}
	attributes := map[string]any{
		"channelType":     c.channelType,
		"conversationSid": c.sid,
		"direction":       direction,
		"initiatedBy":     initiatedBy,
	}
	if !c.anonymous {
		attributes["customerAddress"] = c.customer
		attributes["customerName"] = c.customer
		attributes["customers"] = map[string]any{"name": c.customer, "phone": c.customer}
		attributes["from"] = c.customer
		attributes["name"] = c.customer
	}
	details := map[string]any{
		"conversation_id": c.sid, "initiated_by": initiatedBy, "direction": direction,
		"communication_channel": c.channelType,
		"media":                 []any{map[string]any{"type": "ChatTranscript", "sid": c.sid, "conversation_sid": c.sid}},
	}
	if ch := c.channel; ch != nil {
		attributes["flexInteractionSid"] = ch.interaction.sid
		attributes["flexInteractionChannelSid"] = ch.sid
		attributes["flexChannelInviteSid"] = offered.sid
		details["conversation_id"] = ch.interaction.sid
	}
	attributes["conversations"] = details
	return attributes
}

package twiliosim

import (
	"encoding/json"
	"net/http"
)

// channelJSON is an interaction channel on the wire.
type channelJSON struct {
	SID            string            `json:"sid"`
	InteractionSID string            `json:"interaction_sid"`
	Type           string            `json:"type"`
	Status         string            `json:"status"`
	ErrorCode      *int              `json:"error_code"`
	ErrorMessage   *string           `json:"error_message"`
	URL            string            `json:"url"`
	Links          map[string]string `json:"links"`
}

func (s *Simulator) channelJSON(r *request, ch *interactionChannel) channelJSON {
	self := r.url("/v1/Interactions/" + ch.interaction.sid + "/Channels/" + ch.sid)
	return channelJSON{
		SID: ch.sid, InteractionSID: ch.interaction.sid, Type: ch.kind, Status: ch.status, URL: self,
		Links: map[string]string{
			"participants": self + "/Participants", "invites": self + "/Invites", "transfers": self + "/Transfers",
		},
	}
}

// channelParticipantJSON is a participant of an interaction channel on the wire.
type channelParticipantJSON struct {
	SID               string             `json:"sid"`
	ChannelSID        string             `json:"channel_sid"`
	InteractionSID    string             `json:"interaction_sid"`
	Type              string             `json:"type"`
	RoutingProperties *map[string]string `json:"routing_properties"`
	URL               string             `json:"url"`
}

func channelParticipantAnswer(r *request, ch *interactionChannel, p *interactionParticipant) channelParticipantJSON {
	shown := channelParticipantJSON{
		SID: p.sid, ChannelSID: ch.sid, InteractionSID: ch.interaction.sid, Type: p.kind,
		URL: r.url("/v1/Interactions/" + ch.interaction.sid + "/Channels/" + ch.sid + "/Participants/" + p.sid),
	}
	if rv := p.reservation; rv != nil {
		shown.RoutingProperties = &map[string]string{
			"task_sid": rv.task.sid, "worker_sid": rv.worker.sid, "reservation_sid": rv.sid,
		}
	}
	return shown
}

// routingJSON is how Interactions shows the task it made. Its dates are Unix seconds.
func (s *Simulator) routingJSON(t *task) map[string]any {
	return map[string]any{
		"reservation": nil,
		"properties": map[string]any{
			"account_sid": s.accountSID, "workspace_sid": t.workspace.sid, "sid": t.sid,
			"date_created": t.created.Unix(), "date_updated": t.updated.Unix(),
			"attributes": t.attributes, "assignment_status": t.status,
			"workflow_sid": t.workflow.sid, "workflow_name": t.workflow.name,
			"queue_sid": t.queue.sid, "queue_name": t.queue.name,
			"priority": t.priority, "age": t.age(s.now), "reason": t.reason, "timeout": t.timeout,
			"assignmentCounter": len(t.reservations.order),
			"task_channel_sid":  t.channel.sid, "task_channel_unique_name": t.channel.name,
			"routing_target": optional(t.routingTarget), "task_queue_entered_date": t.created.Unix(),
			"age_in_queue": 0, "addons": "{}",
		},
	}
}

func (s *Simulator) interaction(r *request) (*interaction, *apiError) {
	i, known := s.interactions[r.vars[0]]
	if !known {
		return nil, notFound("/Interactions/" + r.vars[0])
	}
	return i, nil
}

// channel finds the channel of a path /v1/Interactions/{0}/Channels/{1}.
func (s *Simulator) channel(r *request) (*interactionChannel, *apiError) {
	i, refusal := s.interaction(r)
	if refusal != nil {
		return nil, refusal
	}
	ch, known := i.channels.get(r.vars[1])
	if !known {
		return nil, notFound("/Interactions/" + i.sid + "/Channels/" + r.vars[1])
	}
	return ch, nil
}

func (s *Simulator) getInteraction(r *request) (*reply, *apiError) {
	i, refusal := s.interaction(r)
	if refusal != nil {
		return nil, refusal
	}
	self := r.url("/v1/Interactions/" + i.sid)
	ch := i.channels.order[0]
	return ok(map[string]any{
		"sid":                     i.sid,
		"channel":                 map[string]any{"type": ch.kind, "sid": ch.sid},
		"routing":                 s.routingJSON(i.first),
		"interaction_context_sid": nil,
		"webhook_ttid":            nil,
		"url":                     self,
		"links":                   map[string]string{"channels": self + "/Channels"},
	})
}

func (s *Simulator) listChannels(r *request) (*reply, *apiError) {
	i, refusal := s.interaction(r)
	if refusal != nil {
		return nil, refusal
	}
	return paginate(r, listing{key: "channels", maxSize: 1000}, i.channels.order,
		func(ch *interactionChannel) any { return s.channelJSON(r, ch) })
}

func (s *Simulator) getChannel(r *request) (*reply, *apiError) {
	ch, refusal := s.channel(r)
	if refusal != nil {
		return nil, refusal
	}
	return ok(s.channelJSON(r, ch))
}

func (s *Simulator) listInvites(r *request) (*reply, *apiError) {
	ch, refusal := s.channel(r)
	if refusal != nil {
		return nil, refusal
	}
	return paginate(r, listing{key: "invites", maxSize: 1000}, ch.invites.order, func(i *invite) any {
		return map[string]any{
			"sid": i.sid, "channel_sid": ch.sid, "interaction_sid": ch.interaction.sid, "routing": s.routingJSON(i.task),
			"url": r.url("/v1/Interactions/" + ch.interaction.sid + "/Channels/" + ch.sid + "/Invites/" + i.sid),
		}
	})
}

// updateChannel closes a channel or makes it inactive. The tasks go to wrapping, or with Routing {"status":"closed"}
// to completed; a channel that closes takes its conversation with it unless the dialect says otherwise
// (https://www.twilio.com/docs/flex/developer/conversations/interactions-api/channels-subresource).
func (s *Simulator) updateChannel(r *request) (*reply, *apiError) {
	ch, refusal := s.channel(r)
	if refusal != nil {
		return nil, refusal
	}
	status := r.get("Status")
	if status != channelClosed && status != channelInactive {
		return nil, invalid("Status must be closed or inactive")
	}
	complete := false
	if r.has("Routing") {
		var routing struct{ Status string }
		if json.Unmarshal([]byte(r.get("Routing")), &routing) != nil || routing.Status != channelClosed {
			return nil, invalid(`Routing must be {"status":"closed"}`)
		}
		complete = true
	} else if status == channelInactive {
		return nil, invalid(`Status inactive needs Routing {"status":"closed"}`)
	}
	if !ch.open() {
		return nil, refuse(http.StatusBadRequest, codeInteractionNotOpen, "Interaction Not Open")
	}
	s.endChannel(ch, status, complete)
	return ok(s.channelJSON(r, ch))
}

// endChannel closes a channel or makes it inactive and ends its tasks. The caller holds the state.
func (s *Simulator) endChannel(ch *interactionChannel, status string, complete bool) {
	ch.status = status
	for _, t := range ch.tasks() {
		switch {
		case t.status == statusPending || t.status == statusReserved:
			s.cancelTask(t, "Interaction channel "+status)
		case complete:
			s.completeTask(t, "")
		default:
			s.wrapTask(t, "")
		}
	}
	if c := ch.conversation; status == channelClosed && c.state != stateClosed && !c.deleted &&
		!s.opts.Dialect.ClosedChannelKeepsConversation {
		s.setState(c, stateClosed, reasonAPI, false)
	}
}

// open tells whether a channel can still be updated.
func (ch *interactionChannel) open() bool {
	return ch.status != channelClosed && ch.status != channelFailed
}

// tasks are the channel's tasks that still exist, oldest first.
func (ch *interactionChannel) tasks() []*task {
	var own []*task
	for _, t := range ch.conversation.tasks {
		if t.interaction == ch {
			own = append(own, t)
		}
	}
	return own
}

func (s *Simulator) listChannelParticipants(r *request) (*reply, *apiError) {
	ch, refusal := s.channel(r)
	if refusal != nil {
		return nil, refusal
	}
	return paginate(r, listing{key: "participants", maxSize: 1000}, ch.participants.order,
		func(p *interactionParticipant) any { return channelParticipantAnswer(r, ch, p) })
}

// updateChannelParticipant lets one agent go: closed completes the agent's task, wrapup wraps it up. The channel and
// its conversation stay as they are.
func (s *Simulator) updateChannelParticipant(r *request) (*reply, *apiError) {
	ch, refusal := s.channel(r)
	if refusal != nil {
		return nil, refusal
	}
	p, known := ch.participants.get(r.vars[2])
	if !known {
		return nil, notFound("/Interactions/" + ch.interaction.sid + "/Channels/" + ch.sid + "/Participants/" + r.vars[2])
	}
	status := r.get("Status")
	if status != channelClosed && status != "wrapup" {
		return nil, invalid("Status must be closed or wrapup")
	}
	if !ch.open() {
		return nil, refuse(http.StatusBadRequest, codeInteractionNotOpen, "Interaction Not Open")
	}
	if p.reservation == nil {
		return nil, invalid("Participant %s is no agent", p.sid)
	}
	t := p.reservation.task
	if !t.live() || status == "wrapup" && t.status != statusAssigned {
		return nil, invalid("Participant %s cannot be updated to %s: its task is %s", p.sid, status, t.status)
	}
	if status == channelClosed {
		s.completeTask(t, "")
	} else {
		s.wrapTask(t, "")
	}
	s.removeAgent(ch.conversation, p.reservation.worker)
	return ok(channelParticipantAnswer(r, ch, p))
}

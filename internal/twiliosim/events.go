package twiliosim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// routerEvent sends a TaskRouter event when the workspace has a callback and wants the event. The caller holds the
// state.
func (s *Simulator) routerEvent(w *workspace, event, description, kind, resourceSID, key string, fields url.Values) {
	if w.eventCallbackURL == "" || !s.wantsEvent(w, event) {
		return
	}
	form := url.Values{
		"EventType":        {event},
		"Sid":              {s.newResource("EV").sid},
		"AccountSid":       {s.accountSID},
		"WorkspaceSid":     {w.sid},
		"WorkspaceName":    {w.friendlyName},
		"OperatingUnitSid": {"OU" + digest(s.accountSID)},
		"ResourceType":     {kind},
		"ResourceSid":      {resourceSID},
		"EventDescription": {description},
		"Timestamp":        {strconv.FormatInt(s.now.Unix(), 10)},
		"TimestampMs":      {strconv.FormatInt(s.now.UnixMilli(), 10)},
	}
	maps.Copy(form, fields)
	limits := parseOverrides(w.eventCallbackURL)
	if s.opts.Dialect.EventsAreNotRetried {
		limits.retries = 0
	}
	s.send(&delivery{
		key: key, event: event, url: w.eventCallbackURL, method: http.MethodPost, form: form, limits: limits,
	})
}

func (s *Simulator) workspaceEvent(w *workspace, event, description string) {
	s.routerEvent(w, event, description, "workspace", w.sid, w.sid, nil)
}

// taskFields are the parameters that events of tasks and reservations carry.
func (s *Simulator) taskFields(t *task) url.Values {
	fields := url.Values{
		"TaskSid":                   {t.sid},
		"TaskAttributes":            {t.attributes},
		"TaskVersion":               {strconv.Itoa(t.version)},
		"TaskAge":                   {strconv.Itoa(t.age(s.now))},
		"TaskPriority":              {strconv.Itoa(t.priority)},
		"TaskAssignmentStatus":      {t.status},
		"TaskDateCreated":           {strconv.FormatInt(t.created.Unix(), 10)},
		"TaskVirtualStartTime":      {strconv.FormatInt(t.virtual.Unix(), 10)},
		"TaskIgnoreCapacity":        {strconv.FormatBool(t.ignoreCapacity)},
		"TaskChannelSid":            {t.channel.sid},
		"TaskChannelUniqueName":     {t.channel.name},
		"TaskQueueSid":              {t.queue.sid},
		"TaskQueueName":             {t.queue.name},
		"TaskQueueEnteredDate":      {strconv.FormatInt(t.created.Unix(), 10)},
		"TaskQueueTargetExpression": {"1==1"},
		"WorkflowSid":               {t.workflow.sid},
		"WorkflowName":              {t.workflow.name},
	}
	switch t.status {
	case statusCanceled:
		fields.Set("TaskCanceledReason", t.reason)
		fields.Set("Reason", t.reason)
	case statusCompleted:
		fields.Set("TaskCompletedReason", t.reason)
	}
	return fields
}

func (s *Simulator) taskEvent(t *task, event, description string) {
	s.routerEvent(t.workspace, event, description, "task", t.sid, t.sid, s.taskFields(t))
}

func (s *Simulator) reservationEvent(rv *reservation, event, description string) {
	w := rv.worker
	fields := s.taskFields(rv.task)
	for name, value := range map[string]string{
		"ReservationSid":                rv.sid,
		"ReservationVersion":            strconv.Itoa(rv.version),
		"WorkerSid":                     w.sid,
		"WorkerName":                    w.name,
		"WorkerAttributes":              w.attributes,
		"WorkerActivitySid":             rv.task.workspace.available.sid,
		"WorkerActivityName":            rv.task.workspace.available.name,
		"WorkerVersion":                 strconv.Itoa(w.version),
		"WorkerChannelCapacity":         "3",
		"WorkerChannelConsumedCapacity": "33",
	} {
		fields.Set(name, value)
	}
	s.routerEvent(rv.task.workspace, event, description, "reservation", rv.sid, rv.task.sid, fields)
}

// webhookEvent sends a Conversations event to the scoped webhooks whose filters name it. The caller holds the state.
func (s *Simulator) webhookEvent(c *conversation, event, source string, fields url.Values) {
	for _, w := range c.webhooks.order {
		if w.target != "webhook" || !slices.Contains(w.filters, event) {
			continue
		}
		form := url.Values{
			"AccountSid":          {s.accountSID},
			"EventType":           {event},
			"Source":              {source},
			"ConversationSid":     {c.sid},
			"ChatServiceSid":      {s.account.chatServiceSID},
			"MessagingServiceSid": {c.messagingServiceSID},
		}
		maps.Copy(form, fields)
		s.send(&delivery{
			key: c.sid, event: event, url: w.url, method: strings.ToUpper(w.method), form: form,
			// Connection overrides do not exist for Conversations: no retries, and one time-out for all.
			limits: overrides{connect: conversationsTimeout, read: conversationsTimeout, total: conversationsTimeout},
		})
	}
}

func (s *Simulator) stateEvent(c *conversation, from, reason string) {
	source := "API"
	s.webhookEvent(c, "onConversationStateUpdated", source, url.Values{
		"StateUpdated": {wireTime(s.now)},
		"StateFrom":    {from},
		"StateTo":      {c.state},
		"Reason":       {reason},
	})
}

func (s *Simulator) conversationEvent(c *conversation, event, source string) {
	fields := url.Values{
		"DateCreated":  {wireTime(c.created)},
		"DateUpdated":  {wireTime(c.updated)},
		"FriendlyName": {text(c.friendlyName)},
		"UniqueName":   {text(c.uniqueName)},
		"Attributes":   {c.attributes},
		"State":        {c.state},
	}
	if event == "onConversationRemoved" {
		fields.Set("DateRemoved", wireTime(s.now))
	}
	s.webhookEvent(c, event, source, fields)
}

func (s *Simulator) messageEvent(c *conversation, m *message, source string) {
	fields := url.Values{
		"MessageSid":  {m.sid},
		"Index":       {strconv.Itoa(m.index)},
		"DateCreated": {wireTime(m.created)},
		"Body":        {text(m.body)},
		"Author":      {m.author},
		"Attributes":  {m.attributes},
	}
	if m.participantSID != "" {
		fields.Set("ParticipantSid", m.participantSID)
	}
	if m.media != nil {
		encoded, err := json.Marshal(m.media)
		if err != nil {
			panic(fmt.Sprintf("twilio simulator: encode media: %v", err))
		}
		fields.Set("Media", string(encoded))
	}
	if source == sourceSDK {
		fields.Set("ClientIdentity", m.author)
	}
	s.webhookEvent(c, "onMessageAdded", source, fields)
}

func (s *Simulator) participantEvent(c *conversation, p *participant, event, source string) {
	fields := url.Values{
		"ParticipantSid": {p.sid},
		"DateCreated":    {wireTime(p.created)},
		"RoleSid":        {p.roleSID},
		"Attributes":     {p.attributes},
	}
	if p.identity != "" {
		fields.Set("Identity", p.identity)
	}
	if p.address != "" {
		fields.Set("MessagingBinding.Type", p.bindingType)
		fields.Set("MessagingBinding.Address", p.address)
		fields.Set("MessagingBinding.ProxyAddress", p.proxy)
	}
	if event == "onParticipantRemoved" {
		fields.Set("DateRemoved", wireTime(s.now))
	}
	s.webhookEvent(c, event, source, fields)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

package twiliosim

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxTaskAttributes is the longest attributes a task may have, in characters
	// (https://www.twilio.com/docs/taskrouter/limits).
	maxTaskAttributes = 4096
	// defaultTaskTimeout is how long a task waits for an agent, in seconds.
	defaultTaskTimeout = 86400
)

// taskJSON is a task on the wire.
type taskJSON struct {
	AccountSID            string            `json:"account_sid"`
	Age                   int               `json:"age"`
	AssignmentStatus      string            `json:"assignment_status"`
	Attributes            *string           `json:"attributes"`
	Addons                string            `json:"addons"`
	DateCreated           string            `json:"date_created"`
	DateUpdated           string            `json:"date_updated"`
	TaskQueueEnteredDate  string            `json:"task_queue_entered_date"`
	Priority              int               `json:"priority"`
	Reason                *string           `json:"reason"`
	SID                   string            `json:"sid"`
	TaskQueueSID          string            `json:"task_queue_sid"`
	TaskQueueFriendlyName string            `json:"task_queue_friendly_name"`
	TaskChannelSID        string            `json:"task_channel_sid"`
	TaskChannelUniqueName string            `json:"task_channel_unique_name"`
	Timeout               int               `json:"timeout"`
	WorkflowSID           string            `json:"workflow_sid"`
	WorkflowFriendlyName  string            `json:"workflow_friendly_name"`
	WorkspaceSID          string            `json:"workspace_sid"`
	URL                   string            `json:"url"`
	Links                 map[string]string `json:"links"`
	VirtualStartTime      string            `json:"virtual_start_time"`
	IgnoreCapacity        bool              `json:"ignore_capacity"`
	RoutingTarget         *string           `json:"routing_target"`
}

func (s *Simulator) taskJSON(r *request, t *task) taskJSON {
	workspace := r.url("/v1/Workspaces/" + t.workspace.sid)
	self := workspace + "/Tasks/" + t.sid
	return taskJSON{
		AccountSID:           s.accountSID,
		Age:                  t.age(s.now),
		AssignmentStatus:     t.status,
		Attributes:           new(t.attributes),
		Addons:               "{}",
		DateCreated:          wireTime(t.created),
		DateUpdated:          wireTime(t.updated),
		TaskQueueEnteredDate: wireTime(t.created),
		Priority:             t.priority,
		Reason:               optional(t.reason),
		SID:                  t.sid,
		TaskQueueSID:         t.queue.sid, TaskQueueFriendlyName: t.queue.name,
		TaskChannelSID: t.channel.sid, TaskChannelUniqueName: t.channel.name,
		Timeout:     t.timeout,
		WorkflowSID: t.workflow.sid, WorkflowFriendlyName: t.workflow.name,
		WorkspaceSID: t.workspace.sid,
		URL:          self,
		Links: map[string]string{
			"task_queue":   workspace + "/TaskQueues/" + t.queue.sid,
			"workflow":     workspace + "/Workflows/" + t.workflow.sid,
			"workspace":    workspace,
			"reservations": self + "/Reservations",
		},
		VirtualStartTime: wireTime(t.virtual),
		IgnoreCapacity:   t.ignoreCapacity,
		RoutingTarget:    optional(t.routingTarget),
	}
}

// age is the task's age in whole seconds.
func (t *task) age(now time.Time) int { return int(now.Sub(t.created) / time.Second) }

// task finds the task of a path /v1/Workspaces/{0}/Tasks/{1}.
func (s *Simulator) task(r *request) (*task, *apiError) {
	w, refusal := s.workspace(r)
	if refusal != nil {
		return nil, refusal
	}
	t, known := w.tasks.get(r.vars[1])
	if !known {
		return nil, notFound("/Workspaces/" + w.sid + "/Tasks/" + r.vars[1])
	}
	return t, nil
}

func (s *Simulator) getTask(r *request) (*reply, *apiError) {
	t, refusal := s.task(r)
	if refusal != nil {
		return nil, refusal
	}
	return (&reply{status: http.StatusOK, body: s.taskJSON(r, t)}).withETag(t.version), nil
}

func (s *Simulator) listTasks(r *request) (*reply, *apiError) {
	w, refusal := s.workspace(r)
	if refusal != nil {
		return nil, refusal
	}
	keep, refusal := s.taskFilter(r)
	if refusal != nil {
		return nil, refusal
	}
	items := make([]*task, 0, len(w.tasks.order))
	for _, t := range w.tasks.order {
		if keep(t) {
			items = append(items, t)
		}
	}
	l := listing{key: "tasks", maxSize: 1000, tokenOnly: true}
	if refusal := orderTasks(r.query.Get("Ordering"), items, &l); refusal != nil {
		return nil, refusal
	}
	return paginate(r, l, items, func(t *task) any {
		shown := s.taskJSON(r, t)
		if s.opts.Dialect.TaskListsHaveNullAttributes {
			shown.Attributes = nil
		}
		return shown
	})
}

// taskFilter makes the filter that a task list's query asks for.
func (s *Simulator) taskFilter(r *request) (func(*task) bool, *apiError) {
	q := r.query
	var statuses []string
	for _, value := range q["AssignmentStatus"] { // a repeated parameter, each perhaps a list
		for status := range strings.SplitSeq(value, ",") {
			status = strings.TrimSpace(status)
			switch status {
			case statusPending, statusReserved, statusAssigned, statusCanceled, statusCompleted, statusWrapping:
				statuses = append(statuses, status)
			default:
				return nil, invalid("AssignmentStatus %q is not one of pending, reserved, assigned, canceled, wrapping, completed", status)
			}
		}
	}
	matches := func(*task) bool { return true }
	if text := q.Get("EvaluateTaskAttributes"); text != "" {
		compiled, err := parseExpression(text)
		if err != nil {
			return nil, invalid("EvaluateTaskAttributes is not a valid expression: %v", err)
		}
		matches = func(t *task) bool {
			attributes, found := t.attributesAt(s.now.Add(-s.indexLag()))
			return found && compiled(attributes)
		}
	}
	priority := q.Get("Priority")
	same := func(name, value string) bool { return q.Get(name) == "" || q.Get(name) == value }
	return func(t *task) bool {
		return (statuses == nil || slices.Contains(statuses, t.status)) &&
			same("WorkflowSid", t.workflow.sid) && same("WorkflowName", t.workflow.name) &&
			same("TaskQueueSid", t.queue.sid) && same("TaskQueueName", t.queue.name) &&
			same("RoutingTarget", t.routingTarget) &&
			(priority == "" || priority == strconv.Itoa(t.priority)) &&
			!strings.EqualFold(q.Get("HasAddons"), "true") &&
			matches(t)
	}, nil
}

// orderTasks sorts as Ordering says: DateCreated, Priority or VirtualStartTime, upwards unless told otherwise, several
// separated by commas. The default is DateCreated:asc.
func orderTasks(ordering string, items []*task, l *listing) *apiError {
	if ordering == "" || ordering == "DateCreated:asc" || ordering == "DateCreated" {
		return nil // as they are
	}
	var by []func(a, b *task) int
	for part := range strings.SplitSeq(ordering, ",") {
		key, direction, _ := strings.Cut(strings.TrimSpace(part), ":")
		var compare func(a, b *task) int
		switch key {
		case "DateCreated":
			compare = func(a, b *task) int { return cmp.Compare(a.sequence, b.sequence) }
		case "Priority":
			compare = func(a, b *task) int { return cmp.Compare(a.priority, b.priority) }
		case "VirtualStartTime":
			compare = func(a, b *task) int { return a.virtual.Compare(b.virtual) }
		default:
			return invalid("Ordering %q is not DateCreated, Priority or VirtualStartTime", key)
		}
		switch direction {
		case "", "asc":
		case "desc":
			upwards := compare
			compare = func(a, b *task) int { return -upwards(a, b) }
		default:
			return invalid("Ordering direction %q is not asc or desc", direction)
		}
		by = append(by, compare)
	}
	slices.SortStableFunc(items, func(a, b *task) int {
		for _, compare := range by {
			if c := compare(a, b); c != 0 {
				return c
			}
		}
		return 0
	})
	if ordering == "DateCreated:desc" {
		l.descending = true
	} else {
		l.byOffset = true
	}
	return nil
}

func checkTaskAttributes(text string) *apiError {
	if n := utf8.RuneCountInString(text); n > maxTaskAttributes {
		return invalid("Attributes are %d characters long: the limit is %d", n, maxTaskAttributes)
	}
	if json.Unmarshal([]byte(text), &map[string]any{}) != nil {
		return invalid("Attributes are not a JSON object")
	}
	return nil
}

// createTask makes a task as another client would: an agent is free, so it is reserved at once.
func (s *Simulator) createTask(r *request) (*reply, *apiError) {
	w, refusal := s.workspace(r)
	if refusal != nil {
		return nil, refusal
	}
	attributes := "{}"
	if r.has("Attributes") {
		attributes = r.get("Attributes")
		if refusal := checkTaskAttributes(attributes); refusal != nil {
			return nil, refusal
		}
	}
	if sid := r.get("WorkflowSid"); sid != "" && sid != w.workflow.sid {
		return nil, invalid("Workflow %s does not exist in workspace %s", sid, w.sid)
	}
	queue := w.queue
	if sid := r.get("TaskQueueSid"); sid != "" {
		found, known := w.findQueue(sid)
		if !known || found.sid != sid {
			return nil, invalid("TaskQueue %s does not exist in workspace %s", sid, w.sid)
		}
		queue = found
	}
	channel, refusal := w.channel(r.get("TaskChannel"))
	if refusal != nil {
		return nil, refusal
	}
	timeout, priority := defaultTaskTimeout, 0
	if r.has("Timeout") {
		n, err := strconv.Atoi(r.get("Timeout"))
		if err != nil || n < 1 {
			return nil, invalid("Timeout must be a positive number of seconds")
		}
		timeout = n
	}
	if r.has("Priority") {
		n, err := strconv.Atoi(r.get("Priority"))
		if err != nil || n < 0 {
			return nil, invalid("Priority must be a number that is not negative")
		}
		priority = n
	}
	virtual, refusal := r.time("VirtualStartTime", s.now)
	if refusal != nil {
		return nil, refusal
	}
	t := s.newTask(w, attributes, channel, timeout)
	t.queue, t.priority, t.virtual = queue, priority, virtual
	t.routingTarget = r.get("RoutingTarget")
	t.ignoreCapacity = strings.EqualFold(r.get("IgnoreCapacity"), "true")
	if sid, _ := t.decoded["conversationSid"].(string); sid != "" {
		if c, known := s.conversations.get(sid); known {
			t.conversation = c
			c.tasks = append(c.tasks, t)
		}
	}
	s.announceTask(t)
	return (&reply{status: http.StatusCreated, body: s.taskJSON(r, t)}).withETag(t.version), nil
}

// channel finds a task channel by unique name or SID; the default one when none is named.
func (w *workspace) channel(name string) (named, *apiError) {
	if name == "" {
		name = "default"
	}
	if c, known := w.channels[name]; known {
		return c, nil
	}
	for _, c := range w.channels {
		if c.sid == name {
			return c, nil
		}
	}
	return named{}, invalid("TaskChannel %s does not exist in workspace %s", name, w.sid)
}

// time reads an ISO 8601 parameter.
func (r *request) time(name string, otherwise time.Time) (time.Time, *apiError) {
	if !r.has(name) {
		return otherwise, nil
	}
	t, err := time.Parse(time.RFC3339, r.get(name))
	if err != nil {
		return time.Time{}, invalid("%s is not a date and time in ISO 8601", name)
	}
	return t, nil
}

func (s *Simulator) updateTask(r *request) (*reply, *apiError) {
	t, refusal := s.task(r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := s.ifMatch(r, t.version); refusal != nil {
		return nil, refusal
	}
	if r.has("AssignmentStatus") && r.has("Attributes") {
		return nil, invalid("Cannot update task status and attributes in same request")
	}
	if refusal := s.changeTask(r, t); refusal != nil {
		return nil, refusal
	}
	return (&reply{status: http.StatusOK, body: s.taskJSON(r, t)}).withETag(t.version), nil
}

// changeTask checks every parameter of an update before it changes anything.
func (s *Simulator) changeTask(r *request, t *task) *apiError {
	if r.has("Attributes") {
		if refusal := checkTaskAttributes(r.get("Attributes")); refusal != nil {
			return refusal
		}
	}
	priority := t.priority
	if r.has("Priority") {
		n, err := strconv.Atoi(r.get("Priority"))
		if err != nil || n < 0 {
			return invalid("Priority must be a number that is not negative")
		}
		priority = n
	}
	channel := t.channel
	if r.has("TaskChannel") {
		c, refusal := t.workspace.channel(r.get("TaskChannel"))
		if refusal != nil {
			return refusal
		}
		channel = c
	}
	virtual, refusal := r.time("VirtualStartTime", t.virtual)
	if refusal != nil {
		return refusal
	}
	if r.has("AssignmentStatus") {
		if refusal := s.moveTask(t, r.get("AssignmentStatus"), r.get("Reason")); refusal != nil {
			return refusal
		}
	}
	changed := r.has("Attributes") || r.has("Priority") || r.has("TaskChannel") || r.has("VirtualStartTime")
	if !changed {
		return nil
	}
	if r.has("Attributes") {
		if err := s.setTaskAttributes(t, r.get("Attributes")); err != nil {
			return invalid("Attributes are not a JSON object: %v", err)
		}
	}
	t.priority, t.channel, t.virtual = priority, channel, virtual
	s.touch(t)
	s.taskEvent(t, "task.updated", "Task "+t.sid+" updated")
	return nil
}

func (s *Simulator) deleteTask(r *request) (*reply, *apiError) {
	t, refusal := s.task(r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := s.ifMatch(r, t.version); refusal != nil {
		return nil, refusal
	}
	s.taskEvent(t, "task.deleted", "Task "+t.sid+" deleted")
	s.removeTask(t)
	return noContent()
}

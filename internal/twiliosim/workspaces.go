package twiliosim

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultWorkspaceName = "Flex Task Assignment" // what Flex calls the workspace it creates
	queueName            = "Everyone"
	workflowName         = "Assign to Anyone"
	agentsPerWorkspace   = 3
)

var agentNames = [agentsPerWorkspace]string{"agent_1", "agent_2", "agent_3"}

// workspaceJSON is a workspace on the wire.
type workspaceJSON struct {
	AccountSID           string            `json:"account_sid"`
	DateCreated          string            `json:"date_created"`
	DateUpdated          string            `json:"date_updated"`
	DefaultActivityName  string            `json:"default_activity_name"`
	DefaultActivitySID   string            `json:"default_activity_sid"`
	EventCallbackURL     string            `json:"event_callback_url"`
	EventsFilter         *string           `json:"events_filter"`
	FriendlyName         string            `json:"friendly_name"`
	MultiTaskEnabled     bool              `json:"multi_task_enabled"`
	SID                  string            `json:"sid"`
	TimeoutActivityName  string            `json:"timeout_activity_name"`
	TimeoutActivitySID   string            `json:"timeout_activity_sid"`
	PrioritizeQueueOrder string            `json:"prioritize_queue_order"`
	URL                  string            `json:"url"`
	Links                map[string]string `json:"links"`
}

// AddWorkspace makes another workspace, with a queue, a workflow and agents of its own, and returns its SID.
func (s *Simulator) AddWorkspace(friendlyName string) (workspaceSID string) {
	s.lock()
	defer s.mu.Unlock()
	return s.newWorkspace(friendlyName).sid
}

// newWorkspace makes a workspace as Flex sets one up. The caller holds the state.
func (s *Simulator) newWorkspace(friendlyName string) *workspace {
	part := func(prefix, name string) named { return named{resource: s.newResource(prefix), name: name} }
	w := &workspace{
		resource:             s.newResource("WS"),
		friendlyName:         friendlyName,
		multiTask:            true, // as in every Flex workspace
		prioritizeQueueOrder: "FIFO",
		created:              s.now,
		updated:              s.now,
		offline:              part("WA", "Offline"),
		available:            part("WA", "Available"),
		queue:                part("WQ", queueName),
		workflow:             part("WW", workflowName),
		channels:             map[string]named{},
	}
	for _, name := range []string{"default", "voice", "chat", "sms", "video", "email"} {
		w.channels[name] = part("TC", name)
	}
	for _, name := range agentNames {
		w.workers = append(w.workers, &worker{
			resource:   s.newResource("WK"),
			name:       name,
			attributes: fmt.Sprintf(`{"contact_uri":"client:%s","full_name":"%s","roles":["agent"]}`, name, name),
		})
	}
	w.queues = []named{w.queue}
	s.workspaces.add(w)
	return w
}

// AddTaskQueue makes another task queue in the Flex workspace and returns its SID; the queue of that name when there is
// one already. Conversations get into it by Start.Queue and Destination.Queue, tasks that are made by REST by
// TaskQueueSid. The first queue of every workspace is "Everyone".
func (s *Simulator) AddTaskQueue(name string) (queueSID string) {
	s.lock()
	defer s.mu.Unlock()
	return s.addQueue(s.account.flexWorkspace, name).sid
}

// AddTaskQueueIn is AddTaskQueue in another workspace.
func (s *Simulator) AddTaskQueueIn(workspaceSID, name string) (queueSID string, err error) {
	s.lock()
	defer s.mu.Unlock()
	w, known := s.workspaces.get(workspaceSID)
	switch {
	case !known:
		return "", fmt.Errorf("add a task queue: there is no workspace %s", workspaceSID)
	case name == "":
		return "", fmt.Errorf("add a task queue: its name is empty")
	}
	return s.addQueue(w, name).sid, nil
}

// addQueue makes a queue unless there is one of the name. The caller holds the state.
func (s *Simulator) addQueue(w *workspace, name string) named {
	if existing, known := w.findQueue(name); known {
		return existing
	}
	added := named{resource: s.newResource("WQ"), name: name}
	w.queues = append(w.queues, added)
	return added
}

// findQueue finds a task queue by name or SID.
func (w *workspace) findQueue(name string) (named, bool) {
	for _, q := range w.queues {
		if q.name == name || q.sid == name {
			return q, true
		}
	}
	return named{}, false
}

func (s *Simulator) workspaceJSON(r *request, w *workspace) workspaceJSON {
	self := r.url("/v1/Workspaces/" + w.sid)
	links := map[string]string{}
	for key, part := range map[string]string{
		"activities": "Activities", "statistics": "Statistics", "real_time_statistics": "RealTimeStatistics",
		"cumulative_statistics": "CumulativeStatistics", "task_queues": "TaskQueues", "tasks": "Tasks",
		"workers": "Workers", "workflows": "Workflows", "task_channels": "TaskChannels", "events": "Events",
	} {
		links[key] = self + "/" + part
	}
	return workspaceJSON{
		AccountSID:          s.accountSID,
		DateCreated:         wireTime(w.created),
		DateUpdated:         wireTime(w.updated),
		DefaultActivityName: w.offline.name, DefaultActivitySID: w.offline.sid,
		EventCallbackURL:    w.eventCallbackURL, // "" when unset
		EventsFilter:        optional(w.eventsFilter),
		FriendlyName:        w.friendlyName,
		MultiTaskEnabled:    w.multiTask,
		SID:                 w.sid,
		TimeoutActivityName: w.offline.name, TimeoutActivitySID: w.offline.sid,
		PrioritizeQueueOrder: w.prioritizeQueueOrder,
		URL:                  self,
		Links:                links,
	}
}

// workspace finds the workspace of a path whose first variable is its SID.
func (s *Simulator) workspace(r *request) (*workspace, *apiError) {
	w, known := s.workspaces.get(r.vars[0])
	if !known {
		return nil, notFound("/Workspaces/" + r.vars[0])
	}
	return w, nil
}

func (s *Simulator) listWorkspaces(r *request) (*reply, *apiError) {
	var items []*workspace
	for _, w := range s.workspaces.order {
		if name := r.query.Get("FriendlyName"); name == "" || w.friendlyName == name {
			items = append(items, w)
		}
	}
	return paginate(r, listing{key: "workspaces", maxSize: 1000}, items,
		func(w *workspace) any { return s.workspaceJSON(r, w) })
}

// taskQueueJSON is a task queue on the wire.
type taskQueueJSON struct {
	AccountSID              string            `json:"account_sid"`
	AssignmentActivityName  *string           `json:"assignment_activity_name"`
	AssignmentActivitySID   *string           `json:"assignment_activity_sid"`
	DateCreated             string            `json:"date_created"`
	DateUpdated             string            `json:"date_updated"`
	FriendlyName            string            `json:"friendly_name"`
	MaxReservedWorkers      int               `json:"max_reserved_workers"`
	ReservationActivityName *string           `json:"reservation_activity_name"`
	ReservationActivitySID  *string           `json:"reservation_activity_sid"`
	SID                     string            `json:"sid"`
	TargetWorkers           string            `json:"target_workers"`
	TaskOrder               string            `json:"task_order"`
	URL                     string            `json:"url"`
	WorkspaceSID            string            `json:"workspace_sid"`
	Links                   map[string]string `json:"links"`
}

func (s *Simulator) listTaskQueues(r *request) (*reply, *apiError) {
	w, refusal := s.workspace(r)
	if refusal != nil {
		return nil, refusal
	}
	var items []named
	for _, queue := range w.queues {
		if name := r.query.Get("FriendlyName"); name == "" || queue.name == name {
			items = append(items, queue)
		}
	}
	return paginate(r, listing{key: "task_queues", maxSize: 1000}, items, func(queue named) any {
		workspace := r.url("/v1/Workspaces/" + w.sid)
		self := workspace + "/TaskQueues/" + queue.sid
		return taskQueueJSON{
			AccountSID: s.accountSID, DateCreated: wireTime(w.created), DateUpdated: wireTime(w.created),
			FriendlyName: queue.name, MaxReservedWorkers: 1, SID: queue.sid, TargetWorkers: "1==1", TaskOrder: "FIFO",
			URL: self, WorkspaceSID: w.sid,
			Links: map[string]string{"workspace": workspace, "statistics": self + "/Statistics",
				"real_time_statistics": self + "/RealTimeStatistics", "cumulative_statistics": self + "/CumulativeStatistics"},
		}
	})
}

func (s *Simulator) getWorkspace(r *request) (*reply, *apiError) {
	w, refusal := s.workspace(r)
	if refusal != nil {
		return nil, refusal
	}
	return ok(s.workspaceJSON(r, w))
}

func (s *Simulator) updateWorkspace(r *request) (*reply, *apiError) {
	w, refusal := s.workspace(r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := validateWorkspace(r, w); refusal != nil {
		return nil, refusal
	}
	if r.has("EventCallbackUrl") {
		w.eventCallbackURL = r.get("EventCallbackUrl")
	}
	if r.has("EventsFilter") {
		w.eventsFilter = r.get("EventsFilter")
	}
	if r.has("FriendlyName") {
		w.friendlyName = r.get("FriendlyName")
	}
	if r.has("MultiTaskEnabled") {
		w.multiTask = strings.EqualFold(r.get("MultiTaskEnabled"), "true")
	}
	if r.has("PrioritizeQueueOrder") {
		w.prioritizeQueueOrder = r.get("PrioritizeQueueOrder")
	}
	w.updated = s.now
	s.workspaceEvent(w, "workspace.updated", "Workspace "+w.friendlyName+" updated")
	return ok(s.workspaceJSON(r, w))
}

func validateWorkspace(r *request, w *workspace) *apiError {
	if address := r.get("EventCallbackUrl"); address != "" {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return invalid("EventCallbackUrl is not a valid URL")
		}
	}
	if r.has("FriendlyName") && r.get("FriendlyName") == "" {
		return invalid("FriendlyName must not be empty")
	}
	if r.has("MultiTaskEnabled") {
		if _, err := strconv.ParseBool(strings.ToLower(r.get("MultiTaskEnabled"))); err != nil {
			return invalid("MultiTaskEnabled must be true or false")
		}
	}
	for _, name := range []string{"DefaultActivitySid", "TimeoutActivitySid"} {
		if sid := r.get(name); sid != "" && sid != w.offline.sid && sid != w.available.sid {
			return invalid("%s %s is not an activity of the workspace", name, sid)
		}
	}
	return r.oneOf("PrioritizeQueueOrder", "FIFO", "LIFO")
}

// wantsEvent tells whether the workspace's filter lets an event through.
func (s *Simulator) wantsEvent(w *workspace, event string) bool {
	if strings.TrimSpace(w.eventsFilter) == "" {
		return !s.opts.Dialect.EmptyFilterMeansNoEvents
	}
	for name := range strings.SplitSeq(w.eventsFilter, ",") {
		if strings.TrimSpace(name) == event {
			return true
		}
	}
	return false
}

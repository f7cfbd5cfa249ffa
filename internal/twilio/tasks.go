package twilio

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	taskrouter "github.com/twilio/twilio-go/rest/taskrouter/v1"
)

// Task is a TaskRouter task (https://www.twilio.com/docs/taskrouter/api/task).
type Task struct {
	SID          string
	WorkspaceSID string
	// AssignmentStatus is pending, reserved, assigned, wrapping, completed or canceled.
	AssignmentStatus string
	// Attributes is the JSON text of the task's attributes, "" when Twilio gave null: its documentation says that a
	// list does so, and only reading one task shows them.
	Attributes            string
	TaskQueueSID          string
	TaskQueueFriendlyName string
	TaskChannelUniqueName string
	// Reason is why the task was canceled or completed.
	Reason string
	// ETag is the version of the task, for UpdateTaskAttributes, exactly as sent. Lists carry none.
	ETag     string
	Priority int
	// Age is in seconds since the task was created.
	Age         int
	DateCreated time.Time
	DateUpdated time.Time
}

func newTask(t *taskrouter.TaskrouterV1Task) Task {
	return Task{
		SID:                   value(t.Sid),
		WorkspaceSID:          value(t.WorkspaceSid),
		AssignmentStatus:      value(t.AssignmentStatus),
		Attributes:            value(t.Attributes),
		TaskQueueSID:          value(t.TaskQueueSid),
		TaskQueueFriendlyName: value(t.TaskQueueFriendlyName),
		TaskChannelUniqueName: value(t.TaskChannelUniqueName),
		Reason:                value(t.Reason),
		Priority:              t.Priority,
		Age:                   t.Age,
		DateCreated:           value(t.DateCreated),
		DateUpdated:           value(t.DateUpdated),
	}
}

// TaskQuery selects tasks.
type TaskQuery struct {
	// ConversationSID selects the tasks whose attribute conversationSid is this; "" selects all.
	ConversationSID string
	// Statuses selects by assignment status; none selects all.
	Statuses []string
	// PageSize is how many tasks one request asks for, at most 1,000. 0 means 1,000, or 50 for one conversation.
	PageSize int
}

func (q TaskQuery) params() (*taskrouter.ListTaskParams, error) {
	params := &taskrouter.ListTaskParams{}
	size := taskPageSize
	if q.ConversationSID != "" {
		if err := checkSIDs(opListTasks, conversationArg(q.ConversationSID)); err != nil {
			return nil, err
		}
		// The checked SID holds nothing that could end the string.
		params.SetEvaluateTaskAttributes(fmt.Sprintf("conversationSid == %q", q.ConversationSID))
		size = conversationTaskPageSize
	}
	if q.PageSize < 0 || q.PageSize > taskPageSize {
		return nil, invalid(opListTasks, "page size is not between 1 and 1000")
	}
	if q.PageSize > 0 {
		size = q.PageSize
	}
	params.SetPageSize(size)
	if len(q.Statuses) > 0 {
		params.SetAssignmentStatus(q.Statuses)
	}
	return params, nil
}

// ListTasks reads all tasks of a workspace that the query selects, oldest first. A task that changes between two pages may
// be missing or be there twice.
func (c *Client) ListTasks(ctx context.Context, workspaceSID string, query TaskQuery) ([]Task, error) {
	if err := checkSIDs(opListTasks, workspaceArg(workspaceSID)); err != nil {
		return nil, err
	}
	params, err := query.params()
	if err != nil {
		return nil, err
	}
	return listAll(ctx, c, opListTasks, 0, func(x *exchange) ([]Task, *string, string, error) {
		page, err := x.taskrouter().PageTask(workspaceSID, params, "", "")
		if err != nil {
			return nil, nil, "", err
		}
		return convert(page.Tasks, newTask), page.Meta.NextPageUrl, page.Meta.Key, nil
	})
}

// GetTask reads a task with its attributes and ETag.
func (c *Client) GetTask(ctx context.Context, workspaceSID, taskSID string) (Task, error) {
	if err := checkSIDs(opGetTask, workspaceArg(workspaceSID), taskArg(taskSID)); err != nil {
		return Task{}, err
	}
	x := c.begin(ctx, opGetTask)
	got, err := x.taskrouter().FetchTaskWithMetadata(workspaceSID, taskSID)
	if err != nil {
		return Task{}, x.end(err)
	}
	resource := got.GetResource()
	task := newTask(&resource)
	task.ETag = got.GetHeader("ETag")
	return answer(x, task, resource.Sid, taskSID)
}

// UpdateTaskAttributes replaces the attributes of a task if its version is still the one of etag; otherwise the error is
// IsPreconditionFailed. The attributes must be a JSON object of at most 4,096 characters. The task returned has the new
// ETag. When the outcome is unknown, the task has to be read: repeating the call would refuse its own success.
func (c *Client) UpdateTaskAttributes(ctx context.Context, workspaceSID, taskSID, etag, attributes string) (Task, error) {
	op := opUpdateTaskAttributes
	if err := checkSIDs(op, workspaceArg(workspaceSID), taskArg(taskSID)); err != nil {
		return Task{}, err
	}
	switch {
	case !validETag(etag):
		return Task{}, invalid(op, "etag is empty or not one")
	case utf8.RuneCountInString(attributes) > maxTaskAttributes:
		return Task{}, invalid(op, "attributes are longer than 4096 characters")
	case !isJSONObject(attributes):
		return Task{}, invalid(op, "attributes are not a json object")
	}
	params := &taskrouter.UpdateTaskParams{}
	params.SetIfMatch(etag)
	params.SetAttributes(attributes)
	return c.updateTask(ctx, op, workspaceSID, taskSID, params)
}

// UpdateTaskStatus moves a task to another assignment status. A reason is sent unless it is "". Twilio refuses a move
// that the task's status does not allow with code 20001.
func (c *Client) UpdateTaskStatus(ctx context.Context, workspaceSID, taskSID, status, reason string) (Task, error) {
	op := opUpdateTaskStatus
	if err := checkSIDs(op, workspaceArg(workspaceSID), taskArg(taskSID)); err != nil {
		return Task{}, err
	}
	if status == "" {
		return Task{}, invalid(op, "status is empty")
	}
	params := &taskrouter.UpdateTaskParams{}
	params.SetAssignmentStatus(status)
	if reason != "" {
		params.SetReason(reason)
	}
	return c.updateTask(ctx, op, workspaceSID, taskSID, params)
}

func (c *Client) updateTask(ctx context.Context, op operation, workspaceSID, taskSID string, params *taskrouter.UpdateTaskParams) (Task, error) {
	x := c.begin(ctx, op)
	got, err := x.taskrouter().UpdateTaskWithMetadata(workspaceSID, taskSID, params)
	if err != nil {
		return Task{}, x.end(err)
	}
	resource := got.GetResource()
	task := newTask(&resource)
	task.ETag = got.GetHeader("ETag")
	return answer(x, task, resource.Sid, taskSID)
}

func isJSONObject(s string) bool {
	return strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), "{") && json.Valid([]byte(s))
}

// validETag accepts what a header can hold and an answer could have given. An update without a version would overwrite
// whatever others wrote.
func validETag(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

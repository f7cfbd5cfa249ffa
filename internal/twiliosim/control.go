package twiliosim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// maxControlBody bounds a control request.
const maxControlBody = 1 << 20

// controlRequest is what a control request may say.
type controlRequest struct {
	// Start is what starts a conversation. Others use its From and Body (a message), its WorkspaceSID (a task queue), its
	// Queue, Priority and Attributes (a transfer), and its Attributes (those to set).
	Start
	// FriendlyName is that of a new workspace or task queue.
	FriendlyName string `json:"friendlyName"`
	// Identity is that of who joins.
	Identity string `json:"identity"`
	// Author is that of a message that a program posts.
	Author string `json:"author"`
	// Remove names the attributes to remove.
	Remove []string `json:"remove"`
}

// controlAct is what a POST of the control API does; sid is that of its path.
type controlAct func(sid string, in controlRequest) (any, error)

// registerControl adds the control API to the handler. It drives the people and asks for no credentials.
func (s *Simulator) registerControl(mux *http.ServeMux) {
	for pattern, act := range s.controlActs() {
		mux.HandleFunc("POST /simulator/"+pattern, func(w http.ResponseWriter, r *http.Request) {
			var in controlRequest
			if err := decodeControl(r, &in); err != nil {
				refuseControl(w, http.StatusBadRequest, err)
				return
			}
			out, err := act(r.PathValue("sid"), in)
			if err != nil {
				refuseControl(w, http.StatusConflict, err)
				return
			}
			if out == nil {
				out = struct{}{}
			}
			writeJSON(w, http.StatusOK, out)
		})
	}

	mux.HandleFunc("GET /simulator/journal", s.serveJournal)
	mux.HandleFunc("GET /simulator/state", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.State())
	})
	mux.HandleFunc("POST /simulator/faults", func(w http.ResponseWriter, r *http.Request) {
		var in Fault
		if err := decodeControl(r, &in); err != nil {
			refuseControl(w, http.StatusBadRequest, err)
			return
		}
		if _, err := s.fail(in); err != nil {
			refuseControl(w, http.StatusBadRequest, err)
			return
		}
		writeJSON(w, http.StatusOK, struct{}{})
	})
	mux.HandleFunc("DELETE /simulator/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("/simulator/", func(w http.ResponseWriter, r *http.Request) {
		refuseControl(w, http.StatusNotFound, fmt.Errorf(
			"%s %s is not part of the control API: see POST /simulator/conversations, GET /simulator/state", r.Method, r.URL.Path))
	})
}

// controlActs are what people and programs do, by path.
func (s *Simulator) controlActs() map[string]controlAct {
	none := func(err error) (any, error) { return nil, err }
	// only is for acts that need nothing but the SID of the path.
	only := func(act func(sid string) error) controlAct {
		return func(sid string, _ controlRequest) (any, error) { return nil, act(sid) }
	}
	named := func(key, sid string, err error) (any, error) { return map[string]string{key: sid}, err }
	return map[string]controlAct{
		"conversations": func(_ string, in controlRequest) (any, error) { return s.controlStart(in) },
		"conversations/{sid}/messages": func(sid string, in controlRequest) (any, error) {
			return none(s.Say(sid, in.From, in.Body))
		},
		"conversations/{sid}/posts": func(sid string, in controlRequest) (any, error) {
			message, err := s.Post(sid, in.Author, in.Body)
			return named("messageSid", message, err)
		},
		"conversations/{sid}/participants": func(sid string, in controlRequest) (any, error) {
			participant, err := s.Join(sid, in.Identity)
			return named("participantSid", participant, err)
		},
		"conversations/{sid}/attributes": func(sid string, in controlRequest) (any, error) {
			return none(s.changeConversationAttributes(sid, in.Attributes, in.Remove...))
		},
		"conversations/{sid}/transfer": func(sid string, in controlRequest) (any, error) {
			return s.TransferTo(sid, Destination{Queue: in.Queue, Priority: in.Priority, Attributes: in.Attributes})
		},
		"conversations/{sid}/leave":  only(s.Leave),
		"conversations/{sid}/pause":  only(s.Pause),
		"conversations/{sid}/resume": func(sid string, _ controlRequest) (any, error) { return s.Resume(sid) },
		"reservations/{sid}/accept":  only(s.Accept),
		"reservations/{sid}/reject":  only(s.Reject),
		"tasks/{sid}/offer": func(sid string, _ controlRequest) (any, error) {
			reservation, err := s.Offer(sid)
			return named("reservationSid", reservation, err)
		},
		"tasks/{sid}/wrapup":   only(s.AgentWrapsUp),
		"tasks/{sid}/complete": only(s.AgentCompletes),
		"tasks/{sid}/attributes": func(sid string, in controlRequest) (any, error) {
			return none(s.changeTaskAttributes(sid, in.Attributes, in.Remove...))
		},
		"workspaces": func(_ string, in controlRequest) (any, error) {
			if in.FriendlyName == "" {
				return nil, fmt.Errorf(`friendlyName is empty: send {"friendlyName": "…"}`)
			}
			return named("workspaceSid", s.AddWorkspace(in.FriendlyName), nil)
		},
		"taskqueues": func(_ string, in controlRequest) (any, error) {
			if in.WorkspaceSID == "" {
				in.WorkspaceSID = s.WorkspaceSID()
			}
			queue, err := s.AddTaskQueueIn(in.WorkspaceSID, in.FriendlyName)
			if err != nil {
				err = fmt.Errorf(`%w; send {"friendlyName": "…"}`, err)
			}
			return named("queueSid", queue, err)
		},
	}
}

func (s *Simulator) controlStart(in controlRequest) (any, error) {
	const example = `send {"channel": "sms", "from": "+15005550001", "body": "Hello"}`
	if in.Channel == "" {
		return nil, fmt.Errorf("channel is empty: %s", example)
	}
	if in.Channel == "voice" {
		return s.StartVoiceTask()
	}
	started, err := s.StartConversationWith(in.Start)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, example)
	}
	return started, nil
}

func decodeControl(r *http.Request, into any) error {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxControlBody))
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("the body must be a JSON object: %w", err)
	}
	return nil
}

func refuseControl(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

// serveJournal answers with the journal as JSON lines, from after the entry that the parameter since names.
func (s *Simulator) serveJournal(w http.ResponseWriter, r *http.Request) {
	since := 0
	if given := r.URL.Query().Get("since"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil {
			refuseControl(w, http.StatusBadRequest, fmt.Errorf("since is %q: send the seq of the last entry you know", given))
			return
		}
		since = n
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, e := range s.JournalSince(since) {
		if encoder.Encode(e) != nil {
			return // the client went away
		}
	}
}

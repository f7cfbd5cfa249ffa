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
	Channel string `json:"channel"`
	From    string `json:"from"`
	Body    string `json:"body"`
	// Plain starts a conversation without Interactions.
	Plain bool `json:"plain"`
	// Workspace starts it in another workspace.
	Workspace string `json:"workspaceSid"`
	// FriendlyName is that of a new workspace.
	FriendlyName string `json:"friendlyName"`
}

// registerControl adds the control API to the handler. It drives the people and asks for no credentials.
func (s *Simulator) registerControl(mux *http.ServeMux) {
	act := func(pattern string, do func(sid string, in controlRequest) (any, error)) {
		mux.HandleFunc("POST /simulator/"+pattern, func(w http.ResponseWriter, r *http.Request) {
			var in controlRequest
			if err := decodeControl(r, &in); err != nil {
				refuseControl(w, http.StatusBadRequest, err)
				return
			}
			out, err := do(r.PathValue("sid"), in)
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
	none := func(err error) (any, error) { return nil, err }

	act("conversations", func(_ string, in controlRequest) (any, error) { return s.controlStart(in) })
	act("workspaces", func(_ string, in controlRequest) (any, error) {
		if in.FriendlyName == "" {
			return nil, fmt.Errorf(`friendlyName is empty: send {"friendlyName": "…"}`)
		}
		return map[string]string{"workspaceSid": s.AddWorkspace(in.FriendlyName)}, nil
	})
	act("reservations/{sid}/accept", func(sid string, _ controlRequest) (any, error) { return none(s.Accept(sid)) })
	act("reservations/{sid}/reject", func(sid string, _ controlRequest) (any, error) { return none(s.Reject(sid)) })
	act("tasks/{sid}/offer", func(sid string, _ controlRequest) (any, error) {
		reservation, err := s.Offer(sid)
		return map[string]string{"reservationSid": reservation}, err
	})
	act("tasks/{sid}/wrapup", func(sid string, _ controlRequest) (any, error) { return none(s.AgentWrapsUp(sid)) })
	act("tasks/{sid}/complete", func(sid string, _ controlRequest) (any, error) { return none(s.AgentCompletes(sid)) })
	act("conversations/{sid}/messages", func(sid string, in controlRequest) (any, error) {
		return none(s.Say(sid, in.From, in.Body))
	})
	act("conversations/{sid}/transfer", func(sid string, _ controlRequest) (any, error) { return s.Transfer(sid) })
	act("conversations/{sid}/leave", func(sid string, _ controlRequest) (any, error) { return none(s.Leave(sid)) })
	act("conversations/{sid}/pause", func(sid string, _ controlRequest) (any, error) { return none(s.Pause(sid)) })
	act("conversations/{sid}/resume", func(sid string, _ controlRequest) (any, error) { return s.Resume(sid) })

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

func (s *Simulator) controlStart(in controlRequest) (any, error) {
	const example = `send {"channel": "sms", "from": "+15005550001", "body": "Hello"}`
	if in.Channel == "" {
		return nil, fmt.Errorf("channel is empty: %s", example)
	}
	var started Started
	var err error
	switch {
	case in.Channel == "voice":
		started, err = s.StartVoiceTask()
	case in.Plain:
		started, err = s.StartPlainConversation(in.Channel, in.From, in.Body)
	case in.Workspace != "":
		started, err = s.StartConversationIn(in.Workspace, in.Channel, in.From, in.Body)
	default:
		started, err = s.StartConversation(in.Channel, in.From, in.Body)
	}
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

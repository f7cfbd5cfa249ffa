package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRunServesUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--listen-address=127.0.0.1:0", "--auth-token=secret", "--workspace-name=Mine"}, in, io.Discard)
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var started map[string]string
	if err := json.Unmarshal([]byte(line), &started); err != nil {
		t.Fatal(err)
	}
	if started["authToken"] != "" || strings.Contains(line, "secret") {
		t.Errorf("a given token is printed: %s", line)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, started["url"]+"/v1/Workspaces/"+started["workspaceSid"], nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(started["accountSid"], "secret")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), `"friendly_name":"Mine"`) {
		t.Errorf("status %d: %s, %v", resp.StatusCode, body, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("stopped with %v", err)
	}
}

func TestRunRefusesWhatMakesNoSense(t *testing.T) {
	for name, args := range map[string][]string{
		"an argument":           {"here"},
		"an unknown flag":       {"--port=1"},
		"half an API key":       {"--api-key-sid=SK1"},
		"an address that is no": {"--listen-address=nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
				t.Error("no error")
			}
		})
	}
}

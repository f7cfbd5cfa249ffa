package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"
)

// pollInterval is how often a step looks whether what it waits for has come true.
const pollInterval = 200 * time.Millisecond

// until calls look every pollInterval until it reports nothing pending, or fails, or the time is over. look says what is still
// pending, which becomes part of the error when the time is over.
func until(ctx context.Context, limit time.Duration, look func(context.Context) (pending string, err error)) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		pending, err := look(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		case pending == "":
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return fmt.Errorf("not within %s: %s", limit, pending)
		case <-tick.C:
		}
	}
}

// randomHex returns 32 random hexadecimal digits, as in a SID or a token.
func randomHex() string {
	random := make([]byte, 16)
	rand.Read(random) // never fails, says its documentation
	return hex.EncodeToString(random)
}

var documentSeparator = regexp.MustCompile(`(?m)^---\s*$`)

// splitDocuments splits a YAML stream.
func splitDocuments(text []byte) [][]byte {
	var documents [][]byte
	start := 0
	for _, at := range documentSeparator.FindAllIndex(text, -1) {
		documents = append(documents, text[start:at[0]])
		start = at[1]
	}
	documents = append(documents, text[start:])
	kept := documents[:0]
	for _, document := range documents {
		if len(bytes.TrimSpace(document)) > 0 {
			kept = append(kept, document)
		}
	}
	return kept
}

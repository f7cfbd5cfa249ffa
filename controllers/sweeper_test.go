package controllers

import (
	"testing"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
	"github.com/flexops-dev/inactivity-operator/internal/twilio"
)

func TestATaskThatListsShowWithoutAttributesIsReadAgainWhenItMayHaveChanged(t *testing.T) {
	changed := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	listed := twilio.Task{AssignmentStatus: string(inactivity.TaskAssigned), DateUpdated: changed}
	for sentence, test := range map[string]struct {
		status  inactivity.TaskStatus
		updated time.Time
		after   time.Duration // from the change to the reading
		still   bool
	}{
		"one that was read long after its last change":                                           {inactivity.TaskAssigned, changed, time.Minute, true},
		"one that has changed since":                                                             {inactivity.TaskAssigned, changed.Add(-time.Minute), time.Minute, false},
		"one with another status, in the same second":                                            {inactivity.TaskWrapping, changed, time.Minute, false},
		"one that was read in the second of its last change, in which it may have changed again": {inactivity.TaskAssigned, changed, 0, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			read := readTask{inactivity.Task{Status: test.status}, test.updated, changed.Add(test.after)}
			if still := read.isStill(listed); still != test.still {
				t.Errorf("isStill is %t, want %t", still, test.still)
			}
		})
	}
}

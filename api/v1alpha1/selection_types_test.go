package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestAdmissionOfModePriorityAndClock(t *testing.T) {
	try(t, map[string]admission{
		"Enforce is a mode":                      {plain + "mode: Enforce\n", ""},
		"Observe is a mode":                      {plain + "mode: Observe\n", ""},
		"a policy can be suspended":              {plain + "suspend: true\n", ""},
		"a policy can be told to go on":          {plain + "suspend: false\n", ""},
		"a priority can be nought":               {plain + "priority: 0\n", ""},
		"a priority can be a million":            {plain + "priority: 1000000\n", ""},
		"a priority can be a million below":      {plain + "priority: -1000000\n", ""},
		"Any is a waitingOn":                     {plain + "waitingOn: Any\n", ""},
		"Customer is a waitingOn":                {plain + "waitingOn: Customer\n", ""},
		"LastMessage is an anchor":               {plain + "anchor: LastMessage\n", ""},
		"FirstUnanswered is an anchor":           {plain + "anchor: FirstUnanswered\n", ""},
		"Grace is an existing":                   {plain + "existing: Grace\n", ""},
		"Ignore is an existing":                  {plain + "existing: Ignore\n", ""},
		"Immediate is an existing":               {plain + "existing: Immediate\n", ""},
		"an unknown mode is refused":             {plain + "mode: DryRun\n", `supported values: "Enforce", "Observe"`},
		"an empty mode is refused":               {plain + `mode: ""` + "\n", `supported values: "Enforce", "Observe"`},
		"suspend is no text":                     {plain + `suspend: "true"` + "\n", `spec.suspend: Invalid value: "string"`},
		"a priority is at most a million":        {plain + "priority: 1000001\n", "spec.priority in body should be less than or equal to 1000000"},
		"a priority is at least minus a million": {plain + "priority: -1000001\n", "spec.priority in body should be greater than or equal to -1000000"},
		"an unknown waitingOn is refused":        {plain + "waitingOn: Agent\n", `supported values: "Any", "Customer"`},
		"an unknown anchor is refused":           {plain + "anchor: FirstMessage\n", `supported values: "LastMessage", "FirstUnanswered"`},
		"an unknown existing is refused":         {plain + "existing: Keep\n", `supported values: "Grace", "Ignore", "Immediate"`},
	})
}

func TestAdmissionOfTheSelector(t *testing.T) {
	selector := func(fields string) string { return plain + "selector: {" + fields + "}\n" }
	numbered := func(n int) string { return list(n, func(i int) string { return fmt.Sprintf("item%d", i) }) }
	try(t, map[string]admission{
		"channels and queues by name and SID": {selector("channels: [sms, whatsapp, web], taskQueues: [Support, WQ0123456789abcdef0123456789abcdef]"), ""},
		"an expression":                       {selector(`expression: "task.attributes.vip != true"`), ""},
		"all of them together":                {selector(`channels: [web], taskQueues: [Support], expression: "task.priority > 5"`), ""},
		"there can be 16 channels":            {selector("channels: " + numbered(16)), ""},
		"a channel is at most 64 characters":  {selector("channels: [" + strings.Repeat("c", 64) + "]"), ""},
		"there can be 64 queues":              {selector("taskQueues: " + numbered(64)), ""},
		"a queue is at most 256 characters":   {selector("taskQueues: [" + strings.Repeat("q", 256) + "]"), ""},
		"an expression is at most 2,048 characters": {
			selector("expression: " + strings.Repeat("e", 2048)), ""},

		"no channel would be no conversation":       {selector("channels: []"), "spec.selector.channels in body should have at least 1 items"},
		"there can be no more than 16 channels":     {selector("channels: " + numbered(17)), "spec.selector.channels: Too many: 17: must have at most 16 items"},
		"a channel is not empty":                    {selector(`channels: [""]`), "spec.selector.channels[0] in body should be at least 1 chars long"},
		"a channel is bounded":                      {selector("channels: [" + strings.Repeat("c", 65) + "]"), "spec.selector.channels[0]: Too long"},
		"a channel is named once":                   {selector("channels: [sms, web, sms]"), `spec.selector.channels[2]: Duplicate value: "sms"`},
		"channels are a list":                       {selector("channels: sms"), `spec.selector.channels: Invalid value: "string"`},
		"no queue would be no conversation":         {selector("taskQueues: []"), "spec.selector.taskQueues in body should have at least 1 items"},
		"there can be no more than 64 queues":       {selector("taskQueues: " + numbered(65)), "spec.selector.taskQueues: Too many: 65: must have at most 64 items"},
		"a queue is not empty":                      {selector(`taskQueues: [""]`), "spec.selector.taskQueues[0] in body should be at least 1 chars long"},
		"a queue is bounded":                        {selector("taskQueues: [" + strings.Repeat("q", 257) + "]"), "spec.selector.taskQueues[0]: Too long"},
		"a queue is named once":                     {selector("taskQueues: [Support, Support]"), `spec.selector.taskQueues[1]: Duplicate value: "Support"`},
		"an expression is not empty":                {selector(`expression: ""`), "spec.selector.expression in body should be at least 1 chars long"},
		"an expression is bounded":                  {selector("expression: " + strings.Repeat("e", 2049)), "spec.selector.expression: Too long"},
		"an expression is a text, no truth by YAML": {selector("expression: true"), `spec.selector.expression: Invalid value: "boolean"`},
	})
}

func TestAdmissionOfHoldAndLimits(t *testing.T) {
	try(t, map[string]admission{
		"a hold names an attribute":                 {plain + "hold: {attribute: inactivityHold}\n", ""},
		"its name is at most 128 characters":        {plain + "hold: {attribute: " + strings.Repeat("h", 128) + "}\n", ""},
		"one conversation a minute can be ended":    {plain + "limits: {closesPerMinute: 1}\n", ""},
		"6,000 conversations a minute can be ended": {plain + "limits: {closesPerMinute: 6000}\n", ""},
		"a hold without an attribute is refused":    {plain + "hold: {}\n", "spec.hold.attribute: Required value"},
		"the attribute of a hold is not empty":      {plain + `hold: {attribute: ""}` + "\n", "spec.hold.attribute in body should be at least 1 chars long"},
		"the attribute of a hold is bounded":        {plain + "hold: {attribute: " + strings.Repeat("h", 129) + "}\n", "spec.hold.attribute: Too long"},
		"a limit of nought would end nothing":       {plain + "limits: {closesPerMinute: 0}\n", "spec.limits.closesPerMinute in body should be greater than or equal to 1"},
		"a limit is at most 6,000":                  {plain + "limits: {closesPerMinute: 6001}\n", "spec.limits.closesPerMinute in body should be less than or equal to 6000"},
	})
}

package inactivity

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
)

// issue makes the first of CEL's issues an error, with a cure where one is likely.
func issue(expression string, issues *cel.Issues) error {
	reported := issues.Errors()
	if len(reported) == 0 {
		return issues.Err()
	}
	first := slices.MinFunc(reported, func(a, b *common.Error) int {
		if a.Location.Line() != b.Location.Line() {
			return a.Location.Line() - b.Location.Line()
		}
		return a.Location.Column() - b.Location.Column()
	})
	message, _, _ := strings.Cut(first.Message, " expecting {") // a list of all that CEL knows
	message = strings.ReplaceAll(message, " (in container '')", "")
	if cure := cure(expression, first.Message); cure != "" {
		message += ": " + cure
	}
	if first.Location.Line() < 1 {
		return errors.New(message) // about the whole of it
	}
	return fmt.Errorf("line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, message)
}

var (
	// quoted is the name that CEL's message is about.
	quoted = regexp.MustCompile(`(undefined field|undeclared reference to|token recognition error at:|(?:mismatched|extraneous) input) '([^']*)'`)

	// hyphened is an attribute whose key has a hyphen, which is a minus to CEL.
	hyphened = regexp.MustCompile(`\b(task\.attributes(?:\.\w+)*)\.(\w+(?:-[A-Za-z_]\w*)+)`)

	// lengthOfTime is a length of time in the notation of CEL.
	lengthOfTime = regexp.MustCompile(`\bduration\(\s*["']([^"']*)["']\s*\)`)
)

// calls are the functions on texts as they are written, by their names here and in other languages.
var calls = func() map[string]string {
	named := map[string]string{}
	for call, names := range map[string][]string{
		`task.queue.lowerAscii()`:      {"lowerAscii", "lower", "toLower", "toLowerCase"},
		`task.queue.upperAscii()`:      {"upperAscii", "upper", "toUpper", "toUpperCase"},
		`task.queue.trim()`:            {"trim", "strip"},
		`task.queue.size()`:            {"size", "length", "len"},
		`task.queue.contains("VIP")`:   {"contains", "includes"},
		`task.queue.startsWith("VIP")`: {"startsWith", "hasPrefix"},
		`task.queue.endsWith("VIP")`:   {"endsWith", "hasSuffix"},
		`task.queue.matches("^VIP")`:   {"matches", "match"},
	} {
		for _, name := range names {
			named[name] = call
		}
	}
	return named
}()

// cure says what to write instead, if the message is about a mistake that is easily made.
func cure(expression, message string) string {
	switch {
	case strings.Contains(message, "no matching overload"):
		return cureOfTypes(expression, message)
	case strings.Contains(message, "recognition error at: ''"), strings.Contains(message, "recognition error at: '\""):
		return "a text ends with the quote that it begins with"
	}
	found := quoted.FindStringSubmatch(message)
	if found == nil {
		return ""
	}
	name := strings.TrimSpace(found[2])
	fields := slices.Sorted(maps.Keys(taskFields))
	key := quotedKey(expression, name)
	switch meant := nearest(name, fields); {
	case strings.HasPrefix(name, "="):
		return "compare with =="
	case strings.EqualFold(name, "and"), strings.EqualFold(name, "or"), strings.EqualFold(name, "not"), name == "&", name == "|":
		return "write && for and, || for or, ! for not"
	case strings.HasPrefix(found[1], "undeclared") && (strings.EqualFold(name, "true") || strings.EqualFold(name, "false") || strings.EqualFold(name, "null")):
		return "write " + strings.ToLower(name)
	case strings.HasPrefix(found[1], "undeclared") && key != "":
		return "did you mean " + key + "?"
	case strings.HasPrefix(found[1], "undeclared") && strings.Contains(expression, name+"("):
		if call, known := calls[nearest(name, slices.Sorted(maps.Keys(calls)))]; known {
			return "did you mean " + call + "?"
		}
		return "there is no such function"
	case strings.HasPrefix(found[1], "undeclared") && meant != "":
		return "did you mean " + taskVariable + "." + meant + "?"
	case strings.HasPrefix(found[1], "undeclared"):
		return "an expression is about task, and texts in it are in quotes"
	case found[1] == "undefined field" && meant != "":
		return "did you mean " + taskVariable + "." + meant + "?"
	case found[1] == "undefined field":
		return "task has " + strings.Join(fields, ", ") + "; did you mean task.attributes." + name + "?"
	}
	return ""
}

// cureOfTypes says what to write where types do not go together.
func cureOfTypes(expression, message string) string {
	key := quotedKey(expression, "")
	switch {
	case strings.Contains(message, "'_-_'") && key != "":
		return "did you mean " + key + "?"
	case strings.Contains(message, "'@in'") && strings.Contains(message, ", string)"):
		return `in needs a list in brackets, as in task.queue in ["VIP"]; for a part of a text write task.queue.contains("VIP")`
	case strings.Contains(message, "(int, duration)"), strings.Contains(message, "(duration, int)"):
		written := "1h"
		if found := lengthOfTime.FindStringSubmatch(expression); found != nil {
			written = found[1]
		}
		length, err := time.ParseDuration(written)
		if err != nil {
			return "task.age is a number of seconds"
		}
		return fmt.Sprintf("task.age is a number of seconds: write %d for %s", int64(length/time.Second), written)
	}
	return "the types do not go together: texts are in quotes, numbers are not"
}

// quotedKey is an attribute with a hyphen as it has to be written, or "". part is a part of its key, "" is part of any.
func quotedKey(expression, part string) string {
	for _, found := range hyphened.FindAllStringSubmatch(expression, -1) {
		if part == "" || slices.Contains(strings.Split(found[2], "-"), part) {
			return fmt.Sprintf("%s[%q]", found[1], found[2])
		}
	}
	return ""
}

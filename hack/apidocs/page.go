package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// conditionFields stands for the fields of a condition, which are Kubernetes' own and are not repeated.
const conditionFields = "Kubernetes' standard condition: type, status, reason, message, observedGeneration, lastTransitionTime."

// writer writes the page.
type writer struct{ text bytes.Buffer }

func newWriter() *writer {
	w := &writer{}
	w.line("<!-- Written by hack/apidocs from config/crd/bases. Do not edit: change the comments in api/ and generate. -->")
	w.line("# API reference")
	w.line("")
	w.line("Every field, with what the API server enforces. What a field means at its edges is in the [policy guide](policy.md).")
	return w
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(&w.text, format+"\n", args...) }

// definition writes a kind with all its versions.
func (w *writer) definition(definition crd) {
	names := definition.Spec.Names
	for _, version := range definition.Spec.Versions {
		w.line("")
		w.line("## %s", names.Kind)
		w.line("")
		w.line("`%s/%s`, %s. `kubectl get %s`%s%s.", definition.Spec.Group, version.Name, strings.ToLower(definition.Spec.Scope), names.Plural,
			named(", short name", names.ShortNames), named(", category", names.Categories))
		w.line("")
		w.line("%s", paragraph(version.Schema.Root.Description))
		for _, part := range []string{"spec", "status"} {
			if node, found := version.Schema.Root.Properties[part]; found {
				w.line("")
				w.line("### %s", part)
				w.line("")
				w.line("%s", paragraph(node.Description))
				w.rules(node)
				w.line("")
				w.line("| Field | Type | |")
				w.line("|---|---|---|")
				w.fields(part, node)
			}
		}
		w.columns(version.Columns)
	}
}

// rules writes what a whole object has to fulfil.
func (w *writer) rules(node schema) {
	for i, rule := range node.Rules {
		if i == 0 {
			w.line("")
		}
		w.line("- Checked as a whole; the refusal says: \"%s\"", paragraph(rule.Message))
	}
}

// fields writes the fields of an object, each followed by its own.
func (w *writer) fields(prefix string, node schema) {
	for _, name := range slices.Sorted(maps.Keys(node.Properties)) {
		field := node.Properties[name]
		path := prefix + "." + name
		inner := field
		if field.Items != nil {
			path += "[]"
			inner = *field.Items
		}
		w.line("| `%s` | %s | %s |", path, field.kind(), cell(field.explained(slices.Contains(node.Required, name))))
		if !isCondition(inner) {
			w.fields(path, inner)
		}
	}
}

// columns writes what kubectl get shows.
func (w *writer) columns(columns []column) {
	if len(columns) == 0 {
		return
	}
	w.line("")
	w.line("### Columns of kubectl get")
	w.line("")
	w.line("| Column | From |")
	w.line("|---|---|")
	for _, column := range columns {
		wide := ""
		if column.Priority > 0 {
			wide = " (with `-o wide`)"
		}
		w.line("| %s | `%s`%s |", column.Name, cell(column.Path), wide)
	}
}

// kind is the type of a field for people.
func (s schema) kind() string {
	switch {
	case s.Items != nil:
		return "list of " + s.Items.kind()
	case s.Values != nil:
		return "map to " + s.Values.kind()
	case s.Format == "date-time":
		return "time"
	case len(s.Enum) > 0:
		return "`" + strings.Join(s.Enum, "` \\| `") + "`"
	default:
		return s.Type
	}
}

// explained is a field's description with everything that is enforced.
func (s schema) explained(required bool) string {
	var parts []string
	if required {
		parts = append(parts, "**Required.**")
	}
	parts = append(parts, paragraph(s.Description))
	if s.Items != nil && isCondition(*s.Items) {
		parts = append(parts, conditionFields)
	}
	for _, bound := range []struct {
		format string
		value  *int64
	}{
		{"At least %d characters.", positive(s.MinLength)},
		{"At most %d characters.", s.MaxLength},
		{"At least %d items.", s.MinItems},
		{"At most %d items.", s.MaxItems},
	} {
		if bound.value != nil {
			parts = append(parts, fmt.Sprintf(bound.format, *bound.value))
		}
	}
	if s.Minimum != nil {
		parts = append(parts, fmt.Sprintf("At least %s.", number(*s.Minimum)))
	}
	if s.Maximum != nil {
		parts = append(parts, fmt.Sprintf("At most %s.", number(*s.Maximum)))
	}
	if s.Pattern != "" {
		parts = append(parts, "Pattern: `"+s.Pattern+"`.")
	}
	for _, rule := range s.Rules {
		parts = append(parts, "Checked; the refusal says: \""+paragraph(rule.Message)+"\".")
	}
	return strings.Join(parts, " ")
}

// number writes a bound in digits, however large.
func number(bound float64) string { return strconv.FormatFloat(bound, 'f', -1, 64) }

// positive hides the bound of one, which "Required" or a message says already.
func positive(bound *int64) *int64 {
	if bound == nil || *bound <= 1 {
		return nil
	}
	return bound
}

// isCondition recognises Kubernetes' condition by its fields.
func isCondition(s schema) bool {
	_, transition := s.Properties["lastTransitionTime"]
	_, reason := s.Properties["reason"]
	return transition && reason
}

// paragraph joins the lines of a comment.
func paragraph(text string) string { return strings.Join(strings.Fields(text), " ") }

// cell escapes what would end a cell of a table, outside of code.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\\|", "|"), "|", "\\|")
}

func named(title string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return title + " `" + strings.Join(names, "`, `") + "`"
}

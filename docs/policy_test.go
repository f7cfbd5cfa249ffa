package docs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/internal/inactivity"
)

const (
	guide   = "docs/policy.md"
	crdFile = "config/crd/bases/contactcenter.flexops.dev_inactivitypolicies.yaml"
)

// schema is the part of an OpenAPI schema that names fields and their values, and says what it refuses.
type schema struct {
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	Enum       []string          `json:"enum"`
	Rules      []struct {
		Message string `json:"message"`
	} `json:"x-kubernetes-validations"`
}

// fields adds what is below the path, in the notation of the guide: warnings[].before.
func (s schema) fields(path string, found map[string]schema) {
	for name, property := range s.Properties {
		child := strings.TrimPrefix(path+"."+name, ".")
		found[child] = property
		property.fields(child, found)
		if property.Items != nil {
			property.Items.fields(child+"[]", found)
		}
	}
}

// values are the words that a field, or each item of it, can be.
func (s schema) values() []string {
	if s.Items != nil {
		return s.Items.Enum
	}
	return s.Enum
}

// isLeaf reports whether a field has no fields of its own.
func (s schema) isLeaf() bool {
	return len(s.Properties) == 0 && (s.Items == nil || len(s.Items.Properties) == 0)
}

// specFields are the fields of a policy's spec, as the API server knows them.
func specFields(t *testing.T) map[string]schema {
	t.Helper()
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal([]byte(read(t, crdFile)), &crd); err != nil {
		t.Fatalf("reading %s: %v", crdFile, err)
	}
	if len(crd.Spec.Versions) != 1 {
		t.Fatalf("%s has %d versions: the guide is about one", crdFile, len(crd.Spec.Versions))
	}
	found := map[string]schema{}
	crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].fields("", found)
	if len(found) < 50 {
		t.Fatalf("only %d fields were found in %s", len(found), crdFile)
	}
	return found
}

// fence is a block of code.
var fence = regexp.MustCompile("(?s)```.*?```")

// prose is a page without its blocks of code, in which back-quotes come in pairs.
func prose(page string) string { return fence.ReplaceAllString(page, "") }

var fieldHeading = regexp.MustCompile("(?m)^#+ `(.+)`$")

// section is the part of a page from a heading to the next one.
func section(page, heading string) string {
	_, rest, _ := strings.Cut(page, "\n"+heading+"\n")
	if end := regexp.MustCompile(`(?m)^#+ `).FindStringIndex(rest); end != nil {
		return rest[:end[0]]
	}
	return rest
}

// table returns the rows under a header, cell by cell, without the marks of code style around a whole cell.
func table(t *testing.T, page, header string) [][]string {
	t.Helper()
	_, rest, found := strings.Cut(page, "\n"+header+"\n")
	if !found {
		t.Fatalf("there is no table with the header %s", header)
	}
	var rows [][]string
	for line := range strings.Lines(rest) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "|") {
			break
		}
		if strings.HasPrefix(line, "|---") {
			continue
		}
		var row []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), " | ") {
			cell = strings.TrimSpace(cell)
			if match := code.FindString(cell); match == cell {
				cell = strings.Trim(cell, "`")
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("the table %s has no rows", header)
	}
	return rows
}

func TestEveryFieldOfAPolicyIsInTheGuideAndNoOther(t *testing.T) {
	page := read(t, guide)
	known := specFields(t)
	described := map[string]string{}
	add := func(path, text string) {
		if _, twice := described[path]; twice {
			t.Errorf("%s describes %s twice", guide, path)
		}
		described[path] = text
	}
	for _, match := range fieldHeading.FindAllStringSubmatch(page, -1) {
		text := section(page, match[0])
		add(match[1], text)
		for _, row := range []string{"What it does", "Default", "Example"} {
			if field, found := known[match[1]]; found && field.isLeaf() && !strings.Contains(text, "\n| "+row+" | ") {
				t.Errorf("%s, %s, lacks the row %s", guide, match[1], row)
			}
		}
	}
	for _, row := range table(t, page, "| Field | What it does |") {
		add(row[0], row[1])
	}
	for _, path := range slices.Sorted(maps.Keys(known)) {
		text, found := described[path]
		if !found {
			t.Errorf("%s does not describe %s", guide, path)
		}
		if _, rest, heading := strings.Cut(text, "\n| What it does |"); heading {
			text, _, _ = strings.Cut(rest, "\n")
		}
		for _, value := range known[path].values() {
			if found && !strings.Contains(text, "`"+value+"`") {
				t.Errorf("%s, %s, does not say what %s means", guide, path, value)
			}
		}
	}
	for path := range described {
		if _, found := known[path]; !found {
			t.Errorf("%s describes %s, which a policy does not have", guide, path)
		}
	}
}

// fieldSpan is a field of a policy in code style, alone or with a value.
var fieldSpan = regexp.MustCompile("`([a-z][A-Za-z]*(?:\\[\\])?(?:\\.[a-z][A-Za-z]*(?:\\[\\])?)*)(?:: ([^`]+))?`")

func TestThePagesNameNoFieldThatAPolicyDoesNotHave(t *testing.T) {
	known := specFields(t)
	for _, name := range []string{guide, "README.md", "docs/operations.md", "docs/decisions.md", "docs/callbacks.md"} {
		for _, match := range fieldSpan.FindAllStringSubmatch(strings.ReplaceAll(prose(read(t, name)), "`spec.", "`"), -1) {
			path, value := match[1], match[2]
			first, _, nested := strings.Cut(strings.ReplaceAll(path, "[]", ""), ".")
			if _, found := known[first]; !found {
				continue
			}
			field, found := known[path]
			if nested && !found {
				t.Errorf("%s names %s, which a policy does not have", name, path)
			}
			if values := field.values(); value != "" && len(values) > 0 && !slices.Contains(values, value) {
				t.Errorf("%s names %s: %s, which is none of its values", name, path, value)
			}
		}
	}
}

// policyOf is the guide's plain policy with other fields of spec.
func policyOf(t *testing.T, spec map[string]any) *unstructured.Unstructured {
	t.Helper()
	plain := manifest.FindStringSubmatch(read(t, guide))
	policy := &unstructured.Unstructured{}
	if plain == nil {
		t.Fatalf("%s shows no policy", guide)
	}
	if err := yaml.UnmarshalStrict([]byte(plain[1]), &policy.Object); err != nil {
		t.Fatalf("%s shows a policy that is no YAML: %v", guide, err)
	}
	for name, value := range spec {
		if err := unstructured.SetNestedField(policy.Object, runtime.DeepCopyJSONValue(value), "spec", name); err != nil {
			t.Fatal(err)
		}
	}
	return policy
}

// compile reads a policy as the operator does.
func compile(policy *unstructured.Unstructured) (inactivity.Policy, error) {
	var typed v1alpha1.InactivityPolicy
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(policy.Object, &typed); err != nil {
		return inactivity.Policy{}, fmt.Errorf("reading the policy: %w", err)
	}
	return inactivity.Compile(&typed)
}

func mustCompile(t *testing.T, spec map[string]any) inactivity.Policy {
	t.Helper()
	compiled, err := compile(policyOf(t, spec))
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestTheTextsOfTheGuideReadAsItSays(t *testing.T) {
	ana := inactivity.Values{
		CustomerName: "Ana", Channel: "sms", Timeout: 15 * time.Minute, Remaining: 5 * time.Minute,
		Attributes: map[string]string{"orderId": "7"},
	}
	unknown := inactivity.Values{Timeout: ana.Timeout, Remaining: ana.Remaining}
	for _, row := range table(t, read(t, guide), "| Text | Ana reads | The other one reads |") {
		compiled := mustCompile(t, map[string]any{"warnings": []any{map[string]any{"before": "5m", "message": row[0]}}})
		for i, values := range []inactivity.Values{ana, unknown} {
			if got, _ := compiled.Warnings[0].Text.In("", values); got != row[i+1] {
				t.Errorf("%s reads %q, want %q", row[0], got, row[i+1])
			}
		}
	}
	// Each value alone, so that one that is misspelt is found.
	for _, row := range table(t, read(t, guide), "| In the text | Becomes |") {
		got, _ := mustCompile(t, map[string]any{"message": row[0]}).Notice.In("", ana)
		if is := got == ""; is != strings.HasPrefix(row[1], "Nothing") {
			t.Errorf("%s becomes %q: %s", row[0], got, row[1])
		}
	}
}

func TestTheLanguagesOfTheGuideAreChosenAsItSays(t *testing.T) {
	page := read(t, guide)
	shown := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(manifest.FindStringSubmatch(section(page, "## `translations`"))[1]), &shown); err != nil {
		t.Fatal(err)
	}
	compiled := mustCompile(t, shown)
	for _, row := range table(t, page, "| Language of the task | The customer reads |") {
		if got, _ := compiled.Notice.In(strings.TrimPrefix(row[0], "none"), inactivity.Values{}); got != row[1] {
			t.Errorf("%s: the customer reads %q, want %q", row[0], got, row[1])
		}
	}
}

func TestTheExpressionsOfTheGuideChooseAsItSays(t *testing.T) {
	page := read(t, guide)
	result := func(expression, attributes string) string {
		compiled := mustCompile(t, map[string]any{"selector": map[string]any{"expression": expression}})
		parsed, err := inactivity.ParseTaskAttributes(attributes)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)
		tasks := []inactivity.Task{{
			SID: "WT1", Status: inactivity.TaskAssigned, Queue: "Support", Created: now.Add(-time.Minute), Attributes: parsed,
		}}
		owner, err := inactivity.Owner([]inactivity.Policy{compiled}, tasks, now)
		if errors.Is(err, inactivity.ErrExpressionFailed) {
			return "failed"
		}
		return strconv.FormatBool(owner == 0)
	}
	for _, row := range table(t, page, "| Expression | Attributes of the task | It is |") {
		want, _, _ := strings.Cut(row[2], ":")
		if got := result(row[0], row[1]); got != want {
			t.Errorf("%s is %s for a task with %s, want %s", row[0], got, row[1], want)
		}
	}
	// Those in the text are compiled.
	count := 0
	for _, match := range code.FindAllStringSubmatch(prose(page), -1) {
		if strings.HasPrefix(match[1], "task.") && strings.Contains(match[1], " ") {
			result(match[1], "")
			count++
		}
	}
	if count < 10 {
		t.Errorf("only %d expressions were found", count)
	}
}

// The API server refuses what is no name by its form, such as CET, which the database has; the operator what is no zone.
func TestBothRefusalsOfATimeZoneSayHowToWriteIt(t *testing.T) {
	const cure = "write Area/City"
	if rules := specFields(t)["hours.timeZone"].Rules; len(rules) != 1 || !strings.Contains(rules[0].Message, cure) {
		t.Errorf("%s refuses a time zone with %+v, want %q", crdFile, rules, cure)
	}
	_, err := compile(policyOf(t, map[string]any{"hours": map[string]any{
		"timeZone": "Europe/Madird", "weekly": []any{map[string]any{"days": []any{"Mon"}, "from": "09:00", "to": "18:00"}},
	}}))
	if err == nil || !strings.Contains(err.Error(), cure) {
		t.Errorf("the operator refuses a time zone with %v, want %q", err, cure)
	}
}

// keys are the names of a type's fields in JSON.
func keys(kind reflect.Type) []string {
	var found []string
	for field := range kind.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		found = append(found, name)
	}
	return found
}

func TestTheGuideDescribesWhatIsWrittenFieldByField(t *testing.T) {
	page := read(t, guide)
	example := regexp.MustCompile("(?s)```json\n(.*?)```")
	for _, test := range []struct {
		heading, header string
		into            any
	}{
		{"### The entry on the task", "| Entry | |", &inactivity.Claim{}},
		{"### The marker on a message", "| Marker | |", &inactivity.Marker{}},
	} {
		var described []string
		for _, row := range table(t, page, test.header) {
			described = append(described, strings.Split(strings.ReplaceAll(row[0], "`", ""), ", ")...)
		}
		wanted := keys(reflect.TypeOf(test.into).Elem())
		slices.Sort(described)
		slices.Sort(wanted)
		if !slices.Equal(described, wanted) {
			t.Errorf("%s describes %q, want %q", test.heading, described, wanted)
		}

		var shown map[string]json.RawMessage
		if err := json.Unmarshal([]byte(example.FindStringSubmatch(section(page, test.heading))[1]), &shown); err != nil {
			t.Fatalf("%s shows no JSON: %v", test.heading, err)
		}
		decoder := json.NewDecoder(bytes.NewReader(shown[inactivity.AttributeKey]))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(test.into); err != nil {
			t.Errorf("%s shows what the operator does not write: %v", test.heading, err)
		}
	}
}

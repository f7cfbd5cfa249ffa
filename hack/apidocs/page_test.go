package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheReferenceIsUpToDate(t *testing.T) {
	root := filepath.Join("..", "..")
	if err := run(filepath.Join(root, "config", "crd", "bases"), filepath.Join(root, "docs", "api.md"), true); err != nil {
		t.Error(err)
	}
}

func TestThePageTellsWhatIsEnforced(t *testing.T) {
	const definition = `
kind: CustomResourceDefinition
spec:
  group: example.com
  names: {kind: Thing, plural: things, shortNames: [th]}
  scope: Namespaced
  versions:
  - name: v1
    additionalPrinterColumns:
    - {name: Size, jsonPath: .spec.size}
    - {name: Mode, jsonPath: .spec.mode, priority: 1}
    schema:
      openAPIV3Schema:
        description: "A Thing\nis small."
        properties:
          spec:
            required: [size]
            x-kubernetes-validations: [{message: a whole rule}]
            properties:
              mode: {type: string, enum: [A, B]}
              size: {type: integer, description: size of it., minimum: 2, maximum: 9}
              parts:
                type: array
                maxItems: 3
                items: {type: object, properties: {name: {type: string, minLength: 2, maxLength: 5, pattern: "^(a|b)$", x-kubernetes-validations: [{message: be nice}]}}}
              labels: {type: object, additionalProperties: {type: string}}
          status:
            properties:
              since: {type: string, format: date-time}
              conditions:
                type: array
                items: {type: object, properties: {reason: {type: string}, lastTransitionTime: {type: string}}}
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "things.yaml"), []byte(definition), 0o600); err != nil {
		t.Fatal(err)
	}
	page, err := generate(dir)
	if err != nil {
		t.Fatal(err)
	}
	for sentence, line := range map[string]string{
		"a kind is introduced by how it is asked for": "`example.com/v1`, namespaced. `kubectl get things`, short name `th`.",
		"a comment's lines are joined":                "A Thing is small.",
		"a rule over the whole is told":               `- Checked as a whole; the refusal says: "a whole rule"`,
		"a required field says so, with its bounds":   "| `spec.size` | integer | **Required.** size of it. At least 2. At most 9. |",
		"an enum shows its values":                    "| `spec.mode` | `A` \\| `B` |  |",
		"a list shows its items' type":                "| `spec.parts[]` | list of object |  At most 3 items. |",
		"a field of an item has a path":               "| `spec.parts[].name` | string |  At least 2 characters. At most 5 characters. Pattern: `^(a\\|b)$`. Checked; the refusal says: \"be nice\". |",
		"a map shows its values' type":                "| `spec.labels` | map to string |  |",
		"a time is a time":                            "| `status.since` | time |  |",
		"a condition's fields are Kubernetes' own":    "| `status.conditions[]` | list of object |  " + conditionFields + " |",
		"a column is shown":                           "| Size | `.spec.size` |",
		"a wide column says so":                       "| Mode | `.spec.mode` (with `-o wide`) |",
	} {
		t.Run(sentence, func(t *testing.T) {
			if !strings.Contains(string(page), line+"\n") {
				t.Errorf("the page lacks %q:\n%s", line, page)
			}
		})
	}
	if strings.Contains(string(page), "lastTransitionTime` |") {
		t.Errorf("the fields of a condition are repeated:\n%s", page)
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	for sentence, test := range map[string]struct{ file, text, want string }{
		"an empty directory":         {"", "", "no CustomResourceDefinition"},
		"a file that is not YAML":    {"broken.yaml", "a: [", "broken.yaml"},
		"a file of another kind":     {"other.yaml", "kind: ConfigMap", `it is a "ConfigMap"`},
		"a page that is not there":   {"crd.yaml", "kind: CustomResourceDefinition", "api.md"},
		"a page that is out of date": {"crd.yaml", "kind: CustomResourceDefinition", "api.md"},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := t.TempDir()
			if test.file != "" {
				if err := os.WriteFile(filepath.Join(dir, test.file), []byte(test.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			page := filepath.Join(dir, "api.md")
			if strings.HasSuffix(sentence, "out of date") {
				if err := os.WriteFile(page, []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := run(dir, page, true); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that says %q", err, test.want)
			}
		})
	}
}

package v1alpha1_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// described is the part of a schema that kubectl explain prints.
type described struct {
	Description string               `json:"description"`
	Properties  map[string]described `json:"properties"`
	Required    []string             `json:"required"`
	Items       *described           `json:"items"`
}

// kubectl explain is the manual that is at hand when somebody writes a policy.
func TestKubectlExplainTellsEveryFieldAndWhatItsAbsenceMeans(t *testing.T) {
	text, err := os.ReadFile("../../config/crd/bases/contactcenter.flexops.dev_inactivitypolicies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema described `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	fields := 0
	var visit func(path string, node described)
	visit = func(path string, node described) {
		if node.Items != nil {
			visit(path+"[]", *node.Items)
		}
		for _, name := range slices.Sorted(maps.Keys(node.Properties)) {
			field := node.Properties[name]
			path := path + "." + name
			fields++
			if !strings.HasSuffix(field.Description, ".") && !strings.HasSuffix(field.Description, `"`) {
				t.Errorf("%s is not described in sentences: %q", path, field.Description)
			}
			for line := range strings.Lines(field.Description) {
				// It is indented by four columns of eighty; a longer line is broken, and its rest stands alone.
				if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > 76 {
					t.Errorf("%s is broken by kubectl explain: %d characters in %q", path, width, line)
				}
			}
			optional := !slices.Contains(node.Required, name)
			if optional && path != "spec.workspace.sid" && path != "spec.workspace.friendlyName" && !strings.Contains(field.Description, "bsent") {
				t.Errorf("%s does not say what it means when it is absent: %q", path, field.Description)
			}
			visit(path, field)
		}
	}
	visit("spec", crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"])
	if fields < 45 {
		t.Errorf("only %d fields were found: is the schema read as it is written?", fields)
	}
}

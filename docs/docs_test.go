// Package docs_test holds the documentation to the code: what the code names is documented, what the documentation shows
// is accepted, and its links lead somewhere.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/flexops-dev/inactivity-operator/internal/metrics"
	"github.com/flexops-dev/inactivity-operator/test/apiserver"
)

const root = ".."

// constants returns the values of the string constants in the Go files of dir whose names begin with one of the
// prefixes.
func constants(t *testing.T, dir string, prefixes ...string) []string {
	t.Helper()
	var values []string
	inspect(t, dir, func(node ast.Node) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return
		}
		for i, name := range spec.Names {
			if i >= len(spec.Values) || !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name.Name, p) }) {
				continue
			}
			if value, ok := text(spec.Values[i]); ok {
				values = append(values, value)
			}
		}
	})
	if len(values) == 0 {
		t.Fatalf("%s has no constants named %s…: were they renamed?", dir, strings.Join(prefixes, "…, "))
	}
	return values
}

// inspect walks through the Go files of dir, tests left out.
func inspect(t *testing.T, dir string, visit func(ast.Node)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			visit(node)
			return true
		})
	}
}

func text(expression ast.Expr) (string, bool) {
	literal, ok := expression.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	value, err := strconv.Unquote(literal.Value)
	return value, err == nil
}

func read(t *testing.T, page string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// rows returns what stands in code style in the first cells of a page's tables.
func rows(page string) []string {
	var names []string
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		for _, name := range code.FindAllStringSubmatch(strings.SplitN(line, " |", 2)[0], -1) {
			names = append(names, name[1])
		}
	}
	return names
}

var code = regexp.MustCompile("`([^`]+)`")

func TestEveryDecisionIsDocumentedAndNoOther(t *testing.T) {
	wanted := constants(t, "internal/inactivity", "Act", "Reason")
	documented := rows(read(t, "docs/decisions.md"))
	for _, name := range wanted {
		if count := len(slices.DeleteFunc(slices.Clone(documented), func(row string) bool { return row != name })); count != 1 {
			t.Errorf("docs/decisions.md has %d rows for %s, want one", count, name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(wanted, name) {
			t.Errorf("docs/decisions.md has a row for %s, which the code does not know", name)
		}
	}
}

func TestTheTroubleshootingTablesKnowEveryReasonAndEvent(t *testing.T) {
	_, troubleshooting, found := strings.Cut(read(t, "README.md"), "## Troubleshooting")
	if !found {
		t.Fatal("README.md has no section Troubleshooting")
	}
	troubleshooting, _, _ = strings.Cut(troubleshooting, "\n## ")
	wanted := slices.Concat(
		constants(t, "api/v1alpha1", "Reason", "Condition"),
		constants(t, "controllers", "eventCallback", "reason"),
		constants(t, "internal/forward", "EventForward"),
		slices.DeleteFunc(constants(t, "internal/inactivity", "Act"), func(act string) bool { return act == "Look" || act == "None" || act == "Rearm" }))
	for _, name := range wanted {
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`).MatchString(troubleshooting) {
			t.Errorf("README.md, Troubleshooting, does not know %s", name)
		}
	}
}

func TestEveryFlagIsInTheReadme(t *testing.T) {
	readme := rows(read(t, "README.md"))
	binder := regexp.MustCompile(`^(String|Bool|Int|Duration)Var$`)
	count := 0
	inspect(t, "cmd", func(node ast.Node) {
		call, ok := node.(*ast.CallExpr)
		if !ok || len(call.Args) < 3 {
			return
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !binder.MatchString(selector.Sel.Name) {
			return
		}
		name, ok := text(call.Args[1])
		if !ok {
			t.Errorf("a flag has no name that can be read: %v", call.Args[1])
			return
		}
		count++
		if !slices.Contains(readme, "--"+name) {
			t.Errorf("README.md has no row for --%s", name)
		}
	})
	if count < 10 {
		t.Errorf("only %d flags were found in cmd: are they bound in another way now?", count)
	}
}

// described collects the descriptions of what is registered with it.
type described struct{ descriptions []string }

func (d *described) Register(collector prometheus.Collector) error {
	descriptions := make(chan *prometheus.Desc, 16)
	collector.Describe(descriptions)
	close(descriptions)
	for description := range descriptions {
		d.descriptions = append(d.descriptions, description.String())
	}
	return nil
}

func (d *described) MustRegister(...prometheus.Collector) { panic("not used") }

func (d *described) Unregister(prometheus.Collector) bool { return false }

func TestEverySeriesIsDocumentedWithItsLabels(t *testing.T) {
	var registered described
	if _, err := metrics.New(&registered); err != nil {
		t.Fatal(err)
	}
	page := read(t, "docs/metrics.md")
	series := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	var names []string
	for _, description := range registered.descriptions {
		match := series.FindStringSubmatch(description)
		if match == nil {
			t.Fatalf("a description cannot be read: %s", description)
		}
		names = append(names, match[1])
		labels := ""
		if match[2] != "" {
			labels = "`" + strings.Join(strings.Split(match[2], ","), "`, `") + "` "
		}
		if row := "| `" + match[1] + "` | " + labels + "|"; !strings.Contains(page, row) {
			t.Errorf("docs/metrics.md lacks the row %s", row)
		}
	}
	for _, name := range regexp.MustCompile(`inactivity_operator_\w+`).FindAllString(page, -1) {
		if !slices.Contains(names, name) {
			t.Errorf("docs/metrics.md names %s, which is no series", name)
		}
	}
	for _, value := range slices.Concat(
		constants(t, "internal/metrics", "Endpoint", "Outcome", "Cause", "Code", "Forward"),
		constants(t, "controllers", "outcome")) {
		if !strings.Contains(page, "`"+value+"`") {
			t.Errorf("docs/metrics.md does not know the label value %s", value)
		}
	}
}

func TestEveryKeyOfTheSecretIsDocumented(t *testing.T) {
	documented := rows(read(t, "docs/operations.md"))
	for _, key := range constants(t, "internal/credentials", "Key") {
		if !slices.Contains(documented, key) {
			t.Errorf("docs/operations.md has no row for the key %s", key)
		}
	}
}

// pages are the paths of all pages, from the root.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "node_modules"}, entry.Name()):
			return fs.SkipDir
		case filepath.Ext(path) == ".md":
			relative, err := filepath.Rel(root, path)
			found = append(found, relative)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Fatalf("only %d pages were found", len(found))
	}
	return found
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	unslug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the fragments that GitHub gives to a page's headings.
func anchors(page string) []string {
	var found []string
	for _, match := range heading.FindAllStringSubmatch(page, -1) {
		found = append(found, strings.ReplaceAll(unslug.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-"))
	}
	return found
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			path, fragment, _ := strings.Cut(match[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, match[1])
				continue
			}
			if fragment != "" && !slices.Contains(anchors(read(t, target)), fragment) {
				t.Errorf("%s links to %s, but that page has no such heading", page, match[1])
			}
		}
	}
}

func TestEveryDecisionRecordIsListed(t *testing.T) {
	list := read(t, "docs/adr/README.md")
	records, err := filepath.Glob("adr/0*.md")
	if err != nil || len(records) == 0 {
		t.Fatalf("no records were found: %v", err)
	}
	for _, record := range records {
		if !strings.Contains(list, "("+filepath.Base(record)+")") {
			t.Errorf("docs/adr/README.md does not list %s", record)
		}
	}
}

var manifest = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func TestTheApiServerTakesWhatTheDocumentationShows(t *testing.T) {
	config, stop, err := apiserver.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	cluster, err := client.New(config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, page := range pages(t) {
		for _, match := range manifest.FindAllStringSubmatch(read(t, page), -1) {
			object := &unstructured.Unstructured{}
			if err := yaml.UnmarshalStrict([]byte(match[1]), &object.Object); err != nil {
				t.Errorf("%s shows a manifest that is no YAML: %v", page, err)
				continue
			}
			if page == guide && object.GetKind() == "" { // a part of a policy's spec
				object = policyOf(t, object.Object)
			}
			count++
			object.SetNamespace(metav1.NamespaceDefault)
			if object.GetKind() == "InactivityPolicy" {
				if _, err := compile(object); err != nil {
					t.Errorf("%s shows a policy that the operator refuses: %v\n%s", page, err, match[1])
				}
			}
			err := cluster.Create(t.Context(), object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
			if err != nil && !apierrors.IsAlreadyExists(err) {
				t.Errorf("%s shows a %s that is refused: %v\n%s", page, object.GetKind(), err, match[1])
			}
		}
	}
	if count < 10 {
		t.Errorf("only %d manifests were found, want those of the guide, and the policy and the Ingress of README.md", count)
	}
}

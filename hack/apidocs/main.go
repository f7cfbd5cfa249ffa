// Command apidocs writes docs/api.md, the reference of the API, from the CustomResourceDefinitions that controller-gen
// has written, so that the reference says what the API server enforces. Run it from the repository's root:
//
//	go run ./hack/apidocs
//
// With -check it writes nothing, and fails when the page is not what it would write.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/yaml"
)

func main() {
	crds := flag.String("crds", filepath.Join("config", "crd", "bases"), "directory of the CustomResourceDefinitions")
	page := flag.String("out", filepath.Join("docs", "api.md"), "page to write")
	check := flag.Bool("check", false, "write nothing; fail when the page is out of date")
	flag.Parse()
	if err := run(*crds, *page, *check); err != nil {
		fmt.Fprintln(os.Stderr, "apidocs:", err)
		os.Exit(1)
	}
}

func run(crds, page string, check bool) error {
	wanted, err := generate(crds)
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(page, wanted, 0o644)
	}
	found, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	if !bytes.Equal(found, wanted) {
		return fmt.Errorf("%s is out of date: run go run ./hack/apidocs", page)
	}
	return nil
}

// generate returns the page for all definitions in the directory, in the order of their file names.
func generate(dir string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("no CustomResourceDefinition in " + dir)
	}
	slices.Sort(files)
	out := newWriter()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var definition crd
		if err := yaml.Unmarshal(text, &definition); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		if definition.Kind != "CustomResourceDefinition" {
			return nil, fmt.Errorf("reading %s: it is a %q, not a CustomResourceDefinition", file, definition.Kind)
		}
		out.definition(definition)
	}
	return out.text.Bytes(), nil
}

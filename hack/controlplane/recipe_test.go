package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestRequiredVersion(t *testing.T) {
	tests := map[string]struct{ mod, want string }{
		"in a block":             {"require (\n\tk8s.io/kubernetes v1.37.1\n)", "v1.37.1"},
		"marked as indirect":     {"require (\n\tk8s.io/kubernetes v1.37.1 // indirect\n)", "v1.37.1"},
		"on a line of its own":   {"require k8s.io/kubernetes v1.36.0", "v1.36.0"},
		"not a module like it":   {"require k8s.io/kubernetes-csi v1.37.1", ""},
		"not a tool directive":   {"tool (\n\tk8s.io/kubernetes/cmd/kubectl\n)", ""},
		"not a pseudo-version":   {"require k8s.io/kubernetes v0.0.0-20260101000000-0123456789ab", ""},
		"not in an empty go.mod": {"", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := requiredVersion([]byte(tc.mod), kubernetesModule)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("requiredVersion = %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// The real go.mod must stay readable: a change of its form would otherwise show up only on a machine with an empty cache.
func TestRecipeOfThisModule(t *testing.T) {
	r, err := readRecipe(".")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r.key(), r.version+"-") || !strings.HasSuffix(r.key(), "-"+runtime.GOOS+"-"+runtime.GOARCH) {
		t.Errorf("the key is %s, want version, hash and platform", r.key())
	}
	if minor := r.minorVersion(); !strings.HasPrefix(r.version, "v"+strings.TrimSuffix(minor, "x")) {
		t.Errorf("the minor version of %s is %s", r.version, minor)
	}
	args := r.buildArgs("out", "pkg")
	if i := slices.Index(args, "-ldflags"); i < 0 || !strings.Contains(args[i+1], "version.gitVersion="+r.version+" ") {
		t.Errorf("the build does not stamp the version: %q", args)
	}
}

func TestKeyFollowsThePins(t *testing.T) {
	keyOf := func(mod, sum string) string {
		t.Helper()
		dir := t.TempDir()
		for name, text := range map[string]string{"go.mod": mod, "go.sum": sum} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r, err := readRecipe(dir)
		if err != nil {
			t.Fatal(err)
		}
		return r.key()
	}
	const mod = "require k8s.io/kubernetes v1.37.1\n"
	base := keyOf(mod, "a")
	for name, other := range map[string]string{
		"another go.mod":  keyOf(mod+"// changed\n", "a"),
		"another go.sum":  keyOf(mod, "b"),
		"another version": keyOf("require k8s.io/kubernetes v1.37.2\n", "a"),
	} {
		if other == base {
			t.Errorf("%s has the same key %s", name, base)
		}
	}
	if keyOf(mod, "a") != base {
		t.Error("the same pins have two keys")
	}
}

func TestReadRecipeNeedsTheModule(t *testing.T) {
	if _, err := readRecipe(t.TempDir()); err == nil || !strings.Contains(err.Error(), "go run -C hack/controlplane") {
		t.Errorf("the error is %v, want one that says how to run it", err)
	}
}

func TestMoveAssetsTakesWhatIsThere(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	if err := write(from, []string{"etcd", "kubectl", "README"}); err != nil {
		t.Fatal(err)
	}
	if err := moveAssets(from, to); err != nil {
		t.Fatal(err)
	}
	if got := missingAssets(to); !slices.Equal(got, []string{"kube-apiserver"}) {
		t.Errorf("missing afterwards: %v", got)
	}
	if _, err := os.Stat(filepath.Join(to, "README")); err == nil {
		t.Error("something that is no asset was taken along")
	}
}

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

const (
	kubernetesModule = "k8s.io/kubernetes"
	etcdPackage      = "go.etcd.io/etcd/server/v3"
	versionPackage   = "k8s.io/component-base/version"
)

// recipe is what is built: the version, and a hash of everything that pins the sources and the way of building.
type recipe struct {
	version string
	hash    string
}

// readRecipe reads the pinned Kubernetes version from the module in dir.
func readRecipe(dir string) (recipe, error) {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return recipe{}, fmt.Errorf("reading the pinned versions (run this with go run -C hack/controlplane .): %w", err)
	}
	sum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return recipe{}, fmt.Errorf("reading the pinned sums: %w", err)
	}
	version, err := requiredVersion(mod, kubernetesModule)
	if err != nil {
		return recipe{}, err
	}
	r := recipe{version: version}
	h := sha256.New()
	// The arguments count too: another way of building is another cache entry.
	fmt.Fprintf(h, "%q\n%q\n%q\n", mod, sum, r.buildArgs("", ""))
	r.hash = hex.EncodeToString(h.Sum(nil))[:12]
	return r, nil
}

var releaseVersion = regexp.MustCompile(`^v(\d+)\.(\d+)\.\d+$`)

// requiredVersion returns the version of module that go.mod's text requires.
func requiredVersion(mod []byte, module string) (string, error) {
	scanner := bufio.NewScanner(bytes.NewReader(mod))
	for scanner.Scan() {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(scanner.Text()), "require "))
		if len(fields) >= 2 && fields[0] == module && releaseVersion.MatchString(fields[1]) {
			return fields[1], nil
		}
	}
	if err := scanner.Err(); err != nil {
		return "", fmt.Errorf("reading go.mod: %w", err)
	}
	return "", fmt.Errorf("go.mod requires no release of %s", module)
}

// key names the recipe's result in the cache.
func (r recipe) key() string {
	return fmt.Sprintf("%s-%s-%s-%s", r.version, r.hash, runtime.GOOS, runtime.GOARCH)
}

// minorVersion is the version without its patch number, as setup-envtest takes it: the newest published patch of 1.37 is
// as good as the pinned one, and not every patch is published.
func (r recipe) minorVersion() string {
	m := releaseVersion.FindStringSubmatch(r.version)
	return m[1] + "." + m[2] + ".x"
}

// buildArgs are the arguments of go build for one package. The version must be stamped: an API server that does not know
// its version serves the fallback, and its clients then negotiate by that.
func (r recipe) buildArgs(output, pkg string) []string {
	m := releaseVersion.FindStringSubmatch(r.version)
	ldflags := []string{
		"-s", "-w",
		"-X", versionPackage + ".gitVersion=" + r.version,
		"-X", versionPackage + ".gitMajor=" + m[1],
		"-X", versionPackage + ".gitMinor=" + m[2],
		"-X", versionPackage + ".gitTreeState=clean",
	}
	return []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", strings.Join(ldflags, " "), "-o", output, pkg}
}

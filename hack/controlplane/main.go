// Command controlplane prints the directory of the Kubernetes control plane that the tests and the demo run on: etcd,
// kube-apiserver and kubectl. It looks, in this order, at
//
//  1. KUBEBUILDER_ASSETS, when set;
//  2. its own cache, <user cache directory>/inactivity-operator/controlplane;
//  3. setup-envtest's download (skipped with CONTROLPLANE_DOWNLOAD=off, and given up after 20 seconds);
//  4. go build from the sources that this module's go.mod pins, which takes minutes, once.
//
// Only the directory goes to standard output; progress goes to standard error. Nothing but a Go module proxy has to be
// reachable. Run it from the repository's root:
//
//	export KUBEBUILDER_ASSETS="$(go run -C hack/controlplane .)"
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	moduleDir := flag.String("module-dir", ".", "directory of the Go module that pins the control plane's versions")
	toolsDir := flag.String("tools-dir", "../tools", "directory of the Go module that pins setup-envtest")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	dir, err := run(ctx, *moduleDir, *toolsDir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
	fmt.Println(dir)
}

func run(ctx context.Context, moduleDir, toolsDir string) (string, error) {
	r, err := readRecipe(moduleDir)
	if err != nil {
		return "", err
	}
	logf := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	f := finder{
		getenv:    os.Getenv,
		cacheRoot: os.UserCacheDir,
		key:       r.key(),
		logf:      logf,
		download: func(ctx context.Context, dir string) error {
			return download(ctx, toolsDir, r.minorVersion(), dir)
		},
		build: func(ctx context.Context, dir string) error {
			return build(ctx, moduleDir, r, dir, logf)
		},
		check: checkRuns,
	}
	return f.find(ctx)
}

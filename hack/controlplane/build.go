package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// stillAt is how often a long build says that it is still at work.
const stillAt = time.Minute

// build builds the assets into dir from the module in moduleDir.
func build(ctx context.Context, moduleDir string, r recipe, dir string, logf func(string, ...any)) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	logf("control plane: building Kubernetes %s and etcd from source: about four minutes on two cores, once", r.version)
	// kubectl first: it is mostly made of packages that the API server needs too, so that its time is not lost, and a
	// missing module or compiler shows up soon.
	for _, target := range []struct{ name, pkg string }{
		{"etcd", etcdPackage},
		{"kubectl", kubernetesModule + "/cmd/kubectl"},
		{"kube-apiserver", kubernetesModule + "/cmd/kube-apiserver"},
	} {
		start := time.Now()
		done := saysStill(func() { logf("control plane: still building %s (%s)", target.name, since(start)) })
		err := goBuild(ctx, moduleDir, r.buildArgs(filepath.Join(dir, target.name), target.pkg))
		done()
		if err != nil {
			return fmt.Errorf("go build %s: %w", target.pkg, err)
		}
		logf("control plane: built %s (%s)", target.name, since(start))
	}
	return nil
}

// goBuild runs go with args for this machine, whatever the caller's environment says of cross-compiling.
func goBuild(ctx context.Context, moduleDir string, args []string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = moduleDir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	return runQuietly(ctx, cmd)
}

// checkRuns starts each program once, to ask its version, so that a truncated or foreign file never enters the cache.
func checkRuns(ctx context.Context, dir string) error {
	for _, args := range [][]string{{"etcd", "--version"}, {"kube-apiserver", "--version"}, {"kubectl", "version", "--client"}} {
		limited, cancel := context.WithTimeout(ctx, time.Minute)
		err := runQuietly(limited, exec.CommandContext(limited, filepath.Join(dir, args[0]), args[1:]...))
		cancel()
		if err != nil {
			return fmt.Errorf("trying out %s: %w", args[0], err)
		}
	}
	return nil
}

// runQuietly runs cmd and puts what it printed into the error when it fails.
func runQuietly(ctx context.Context, cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// A child of cmd that outlives it would hold the pipe open.
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(out.String()))
	}
}

// saysStill calls say every stillAt until the returned function is called.
func saysStill(say func()) (stop func()) {
	ticker := time.NewTicker(stillAt)
	done := make(chan struct{})
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				say()
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

func since(start time.Time) time.Duration {
	return time.Since(start).Round(time.Second)
}

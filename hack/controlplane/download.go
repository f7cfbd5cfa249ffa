package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// downloadLimit is how long the download may take before building is the better bet: the archive is some 60 MB, and on a
// network that drops packets instead of refusing them the client would hang for minutes.
const downloadLimit = 20 * time.Second

// download lets the setup-envtest that toolsDir's module pins fetch a Kubernetes release into dir. The tool checks the
// archive against the published sums.
func download(ctx context.Context, toolsDir, version, dir string) error {
	scratch, err := os.MkdirTemp("", "controlplane-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)

	// Building the tool is not part of the time limit: it depends on the machine, not on the network.
	tool := filepath.Join(scratch, "setup-envtest")
	build := exec.CommandContext(ctx, "go", "build", "-o", tool, "sigs.k8s.io/controller-runtime/tools/setup-envtest")
	build.Dir = toolsDir
	build.Env = append(os.Environ(), "GOWORK=off", "GOOS=", "GOARCH=")
	if err := runQuietly(ctx, build); err != nil {
		return fmt.Errorf("building setup-envtest: %w", err)
	}

	limited, cancel := context.WithTimeout(ctx, downloadLimit)
	defer cancel()
	use := exec.CommandContext(limited, tool, "use", version, "--bin-dir", scratch, "--print", "path")
	var path strings.Builder
	var said strings.Builder
	use.Stdout, use.Stderr = &path, &said
	use.WaitDelay = time.Second
	if err := use.Run(); err != nil {
		if errors.Is(limited.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("setup-envtest took longer than %s", downloadLimit)
		}
		return fmt.Errorf("setup-envtest: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return moveAssets(strings.TrimSpace(path.String()), dir)
}

// moveAssets moves what from holds to the directory to, across file systems too.
func moveAssets(from, to string) error {
	for _, name := range assets {
		data, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the caller lists what is missing
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o755); err != nil {
			return err
		}
	}
	return nil
}

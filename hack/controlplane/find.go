package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// assetsEnv is the variable that envtest reads too.
	assetsEnv = "KUBEBUILDER_ASSETS"
	// downloadEnv, set to "off", skips setup-envtest, for machines where the try would only cost its time-out.
	downloadEnv = "CONTROLPLANE_DOWNLOAD"
)

// assets are the programs that make a complete control plane. envtest looks for exactly these names.
var assets = []string{"etcd", "kube-apiserver", "kubectl"}

// finder finds or makes the directory of assets. Its functions are what a test replaces.
type finder struct {
	getenv    func(string) string
	cacheRoot func() (string, error)
	// key names this version of the control plane in the cache.
	key string
	// download and build fill an empty directory with assets, or fail.
	download, build func(ctx context.Context, dir string) error
	// check tells whether the programs in a directory run on this machine.
	check func(ctx context.Context, dir string) error
	logf  func(format string, args ...any)
}

// find returns a directory with all assets. Any number of finders may run at once, in one process or several: the first
// one fills the cache while the others wait for it, and the cache entry appears whole or not at all.
func (f finder) find(ctx context.Context) (string, error) {
	if dir := f.getenv(assetsEnv); dir != "" {
		if missing := missingAssets(dir); len(missing) > 0 {
			return "", fmt.Errorf("%s is %s, which lacks %s: unset it, or point it at a directory with %s",
				assetsEnv, dir, strings.Join(missing, " and "), strings.Join(assets, ", "))
		}
		return filepath.Abs(dir)
	}

	root, err := f.cacheRoot()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory (set HOME or XDG_CACHE_HOME, or %s): %w", assetsEnv, err)
	}
	parent := filepath.Join(root, "inactivity-operator", "controlplane")
	cached := filepath.Join(parent, f.key)
	if len(missingAssets(cached)) == 0 {
		return cached, nil
	}

	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("creating the cache: %w", err)
	}
	unlock, err := lock(filepath.Join(parent, ".lock"), func() {
		f.logf("control plane: another process is preparing it, waiting")
	})
	if err != nil {
		return "", fmt.Errorf("locking the cache %s: %w", parent, err)
	}
	defer unlock()
	if len(missingAssets(cached)) == 0 {
		return cached, nil
	}
	return cached, f.fill(ctx, parent, cached)
}

// fill makes the cache entry. The caller holds the lock.
func (f finder) fill(ctx context.Context, parent, cached string) error {
	if f.getenv(downloadEnv) == "off" {
		f.logf("control plane: download skipped (%s=off)", downloadEnv)
	} else {
		err := f.into(ctx, parent, cached, f.download)
		if err == nil {
			f.logf("control plane: downloaded with setup-envtest")
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.logf("control plane: not downloaded (%s); building it instead", oneLine(err))
	}
	if err := f.into(ctx, parent, cached, f.build); err != nil {
		return fmt.Errorf("building the control plane: %w", err)
	}
	return nil
}

// into lets provide fill a temporary directory, and moves that to its place in the cache when it is complete and runs.
func (f finder) into(ctx context.Context, parent, cached string, provide func(context.Context, string) error) error {
	tmp, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return fmt.Errorf("creating a directory in the cache: %w", err)
	}
	// After the rename there is nothing left to remove; a failure to remove costs disk, not correctness.
	defer os.RemoveAll(tmp)

	if err := provide(ctx, tmp); err != nil {
		return err
	}
	if missing := missingAssets(tmp); len(missing) > 0 {
		return fmt.Errorf("%s missing afterwards", strings.Join(missing, " and "))
	}
	if err := f.check(ctx, tmp); err != nil {
		return err
	}
	// MkdirTemp makes the directory private; other users of a shared cache may read it.
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	// An incomplete entry (somebody deleted one of its files) would make the rename fail.
	if err := os.RemoveAll(cached); err != nil {
		return fmt.Errorf("removing an incomplete cache entry: %w", err)
	}
	if err := os.Rename(tmp, cached); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("moving the control plane into the cache: %w", err)
	}
	if missing := missingAssets(cached); len(missing) > 0 {
		return fmt.Errorf("%s lacks %s", cached, strings.Join(missing, " and "))
	}
	return nil
}

// missingAssets lists the assets that dir lacks: absent, empty, or not an executable file.
func missingAssets(dir string) []string {
	var missing []string
	for _, name := range assets {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || info.Mode().Perm()&0o111 == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}

// oneLine folds an error's text, which may be a tool's whole output, into its last line that says something.
func oneLine(err error) string {
	const most = 200
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if len(last) > most {
		last = last[:most] + "…"
	}
	return last
}

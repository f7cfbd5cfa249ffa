package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fakes are the outside world of one finder.
type fakes struct {
	env                 map[string]string
	cache               string
	downloads, builds   atomic.Int32
	downloadErr, runErr error
	buildErr            error
	// downloaded and built are the files that each source provides.
	downloaded, built []string

	mu  sync.Mutex
	log []string
}

func newFakes(t *testing.T) *fakes {
	return &fakes{env: map[string]string{}, cache: t.TempDir(), downloaded: assets, built: assets}
}

func (w *fakes) finder() finder {
	return finder{
		getenv:    func(name string) string { return w.env[name] },
		cacheRoot: func() (string, error) { return w.cache, nil },
		key:       "v1.2.3-abc",
		download: func(_ context.Context, dir string) error {
			w.downloads.Add(1)
			if w.downloadErr != nil {
				return w.downloadErr
			}
			return write(dir, w.downloaded)
		},
		build: func(_ context.Context, dir string) error {
			w.builds.Add(1)
			if w.buildErr != nil {
				return w.buildErr
			}
			return write(dir, w.built)
		},
		check: func(context.Context, string) error { return w.runErr },
		logf: func(format string, args ...any) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.log = append(w.log, fmt.Sprintf(format, args...))
		},
	}
}

func (w *fakes) entry() string {
	return filepath.Join(w.cache, "inactivity-operator", "controlplane", "v1.2.3-abc")
}

func write(dir string, names []string) error {
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/true\n"), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func TestFindPrefersInOrder(t *testing.T) {
	tests := map[string]struct {
		prepare           func(t *testing.T, w *fakes)
		downloads, builds int32
		wantErr           string // part of the error, empty for success
	}{
		"an empty cache is filled by the download": {
			prepare:   func(*testing.T, *fakes) {},
			downloads: 1,
		},
		"a failing download falls over to the build": {
			prepare:   func(_ *testing.T, w *fakes) { w.downloadErr = errors.New("no network") },
			downloads: 1, builds: 1,
		},
		"an incomplete download falls over to the build": {
			prepare:   func(_ *testing.T, w *fakes) { w.downloaded = assets[:2] },
			downloads: 1, builds: 1,
		},
		"the download can be switched off": {
			prepare: func(_ *testing.T, w *fakes) { w.env[downloadEnv] = "off" },
			builds:  1,
		},
		"a complete cache entry is used as it is": {
			prepare: func(t *testing.T, w *fakes) { mustWrite(t, w.entry(), assets) },
		},
		"an incomplete cache entry is made anew": {
			prepare:   func(t *testing.T, w *fakes) { mustWrite(t, w.entry(), assets[1:]) },
			downloads: 1,
		},
		"a build that fails is the error": {
			prepare: func(_ *testing.T, w *fakes) {
				w.downloadErr, w.buildErr = errors.New("no network"), errors.New("no compiler")
			},
			downloads: 1, builds: 1,
			wantErr: "no compiler",
		},
		"a build that leaves something out is an error": {
			prepare: func(_ *testing.T, w *fakes) {
				w.env[downloadEnv], w.built = "off", assets[:1]
			},
			builds:  1,
			wantErr: "kube-apiserver and kubectl missing",
		},
		"programs that do not run are an error": {
			prepare:   func(_ *testing.T, w *fakes) { w.runErr = errors.New("exec format error") },
			downloads: 1, builds: 1,
			wantErr: "exec format error",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newFakes(t)
			tc.prepare(t, w)
			dir, err := w.finder().find(t.Context())
			switch {
			case tc.wantErr == "" && err != nil:
				t.Fatalf("find failed: %v", err)
			case tc.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tc.wantErr)):
				t.Fatalf("find's error is %v, want one with %q", err, tc.wantErr)
			}
			if tc.wantErr == "" {
				if dir != w.entry() {
					t.Errorf("found %s, want %s", dir, w.entry())
				}
				if missing := missingAssets(dir); len(missing) > 0 {
					t.Errorf("%s lacks %v", dir, missing)
				}
			} else if _, err := os.Stat(w.entry()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a failed find left a cache entry (stat: %v)", err)
			}
			if got := w.downloads.Load(); got != tc.downloads {
				t.Errorf("%d downloads, want %d", got, tc.downloads)
			}
			if got := w.builds.Load(); got != tc.builds {
				t.Errorf("%d builds, want %d", got, tc.builds)
			}
			leftovers, err := filepath.Glob(filepath.Join(filepath.Dir(w.entry()), ".new-*"))
			if err != nil || len(leftovers) > 0 {
				t.Errorf("left behind %v (%v)", leftovers, err)
			}
		})
	}
}

func TestFindUsesTheEnvironmentFirst(t *testing.T) {
	w := newFakes(t)
	mustWrite(t, w.entry(), assets)
	own := filepath.Join(t.TempDir(), "own")
	mustWrite(t, own, assets)
	w.env[assetsEnv] = own

	dir, err := w.finder().find(t.Context())
	if err != nil || dir != own {
		t.Fatalf("find = %s, %v; want %s", dir, err, own)
	}
}

func TestFindRefusesAnIncompleteEnvironment(t *testing.T) {
	w := newFakes(t)
	own := filepath.Join(t.TempDir(), "own")
	mustWrite(t, own, []string{"etcd"})
	if err := os.WriteFile(filepath.Join(own, "kubectl"), []byte("not executable"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.env[assetsEnv] = own

	_, err := w.finder().find(t.Context())
	if err == nil || !strings.Contains(err.Error(), "lacks kube-apiserver and kubectl") {
		t.Errorf("find's error is %v, want one that names what is missing", err)
	}
	if w.downloads.Load()+w.builds.Load() > 0 {
		t.Error("something was made although the environment names a directory")
	}
}

func TestFindSaysWhyItBuilds(t *testing.T) {
	w := newFakes(t)
	w.downloadErr = errors.New("setup-envtest: exit status 1:\nmany\nlines\nconnection refused")
	if _, err := w.finder().find(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "control plane: not downloaded (connection refused); building it instead"
	if !slices.Contains(w.log, want) {
		t.Errorf("the log is %q, want a line %q", w.log, want)
	}
}

func TestFindStopsWhenCancelled(t *testing.T) {
	w := newFakes(t)
	ctx, cancel := context.WithCancel(t.Context())
	f := w.finder()
	f.download = func(context.Context, string) error { cancel(); return context.Canceled }
	if _, err := f.find(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("find's error is %v, want context.Canceled", err)
	}
	if w.builds.Load() > 0 {
		t.Error("built although cancelled")
	}
}

// Every caller has an open file of its own, so that the lock holds between goroutines as between processes.
func TestFindersAtOnceDoTheWorkOnce(t *testing.T) {
	w := newFakes(t)
	w.env[downloadEnv] = "off"
	const callers = 8
	var group sync.WaitGroup
	errs := make([]error, callers)
	for i := range callers {
		group.Go(func() { _, errs[i] = w.finder().find(t.Context()) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got := w.builds.Load(); got != 1 {
		t.Errorf("built %d times, want once", got)
	}
}

func TestFindNeedsACacheDirectory(t *testing.T) {
	f := newFakes(t).finder()
	f.cacheRoot = func() (string, error) { return "", errors.New("neither HOME nor XDG_CACHE_HOME") }
	if _, err := f.find(t.Context()); err == nil || !strings.Contains(err.Error(), assetsEnv) {
		t.Errorf("find's error is %v, want one that names %s as a way out", err, assetsEnv)
	}
}

func TestOneLine(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"the last line tells":      {"first\nlast\n\n", "last"},
		"a long line is cut":       {strings.Repeat("x", 300), strings.Repeat("x", 200) + "…"},
		"one line is left as is":   {"refused", "refused"},
		"an empty text has no end": {"", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := oneLine(errors.New(tc.text)); got != tc.want {
				t.Errorf("oneLine = %q, want %q", got, tc.want)
			}
		})
	}
}

func mustWrite(t *testing.T, dir string, names []string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := write(dir, names); err != nil {
		t.Fatal(err)
	}
}

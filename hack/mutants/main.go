// Mutants breaks the operator on purpose, in one way after the other, and checks that the simulation notices: a proof that
// cannot fail is none. Each mutant is compiled from a changed copy of one file; the tree is left as it is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// mutant is a way to break the operator: a text that stands once in a file, and what is put in its place.
type mutant struct {
	name     string
	file     string
	old, new string
}

func main() {
	seeds := flag.Int("seeds", 100, "how many seeds may pass before a mutant counts as not caught")
	only := flag.String("only", "", "a regular expression: run the mutants whose names match")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *seeds, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, seeds int, only string) error {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("reading -only: %w", err)
	}
	folder, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	survivors := 0
	for _, one := range mutants {
		if !chosen.MatchString(one.name) {
			continue
		}
		started := time.Now()
		seed, why, err := one.caught(ctx, folder, seeds)
		switch took := time.Since(started).Round(time.Second); {
		case err != nil:
			return fmt.Errorf("mutant %q: %w", one.name, err)
		case seed == "":
			survivors++
			fmt.Printf("SURVIVED  %-58s %d seeds, %s\n", one.name, seeds, took)
		default:
			fmt.Printf("caught    %-58s seed %s, %s: %s\n", one.name, seed, took, why)
		}
	}
	if survivors > 0 {
		return fmt.Errorf("%d mutants were not caught", survivors)
	}
	return nil
}

// caught runs the simulation on the mutant until a seed fails, and returns that seed and the first violation.
func (m mutant) caught(ctx context.Context, folder string, seeds int) (seed, why string, err error) {
	overlay, err := m.overlay(folder)
	if err != nil {
		return "", "", err
	}
	binary := filepath.Join(folder, "simulation.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", binary, "./test/simulation").CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("compiling: %w\n%s", err, out)
	}
	command := exec.CommandContext(ctx, binary, "-stop", fmt.Sprintf("-seeds=%d", seeds), "-test.timeout=10m")
	command.Dir = "test/simulation"
	out, err := command.CombinedOutput()
	var failed *exec.ExitError
	switch found := violation.FindStringSubmatch(string(out)); {
	case err == nil:
		return "", "", nil
	case !errors.As(err, &failed):
		return "", "", fmt.Errorf("running: %w", err)
	case found == nil:
		return "", "", fmt.Errorf("it failed without a violation:\n%s", out)
	default:
		return found[1], shortened(found[2]), nil
	}
}

var violation = regexp.MustCompile(`seed (\d+): (.*)`)

// shortened is a line for the table: the end says what was violated.
func shortened(text string) string {
	const most = 90
	if runes := []rune(text); len(runes) > most {
		return "…" + string(runes[len(runes)-most:])
	}
	return text
}

// overlay writes the changed file and the file that tells the compiler of it.
func (m mutant) overlay(folder string) (string, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if count := strings.Count(string(source), m.old); count != 1 {
		return "", fmt.Errorf("%q stands %d times in %s, not once: change the mutant with the code", m.old, count, m.file)
	}
	changed := filepath.Join(folder, filepath.Base(m.file))
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(folder, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// Mutants breaks the operator on purpose, in one way after the other, and checks that the simulation notices: a proof that
// cannot fail is none. Each mutant is compiled from a changed copy of one file; the tree is left as it is.
package main

import (
	"cmp"
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
	"slices"
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
	seeds := flag.Int("seeds", 200, "how many seeds may pass before a mutant counts as not caught")
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
	original := filepath.Join(folder, "original.test")
	if err := compile(ctx, original); err != nil {
		return err
	}
	ran, survivors := 0, 0
	for i, one := range slices.Concat(ofConversations, ofCallbacks) {
		if !chosen.MatchString(one.name) {
			continue
		}
		test := "TestSimulation"
		if i >= len(ofConversations) {
			test = "TestCallbackLifeCycle"
		}
		ran++
		started := time.Now()
		found, err := one.caught(ctx, folder, test, seeds)
		if found != nil {
			err = passes(ctx, original, test, found.seed)
		}
		switch took := time.Since(started).Round(time.Second); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			survivors++
			fmt.Printf("FAILED    %-58s %s: %v\n", one.name, took, err)
		case found == nil:
			survivors++
			fmt.Printf("SURVIVED  %-58s %d seeds, %s\n", one.name, seeds, took)
		default:
			fmt.Printf("caught    %-58s %s of %d seeds, %s: seed %s: %s\n", one.name, found.played, seeds, took, found.seed, found.why)
		}
	}
	if ran == 0 {
		return fmt.Errorf("-only=%q: there is no such mutant", only)
	}
	if survivors > 0 {
		return fmt.Errorf("%d mutants were not caught", survivors)
	}
	return nil
}

// finding is the first violation: its seed, and how many seeds had been played by then.
type finding struct{ seed, why, played string }

// caught plays seeds of a test on the mutant until one fails; nil: none has.
func (m mutant) caught(ctx context.Context, folder, test string, seeds int) (*finding, error) {
	overlay, err := m.overlay(folder)
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(folder, "mutant.test")
	if err := compile(ctx, binary, "-overlay", overlay); err != nil {
		return nil, err
	}
	out, err := play(ctx, binary, test, fmt.Sprintf("-seeds=%d", seeds))
	var failed *exec.ExitError
	switch wrong, played := violation.FindSubmatch(out), played.FindSubmatch(out); {
	case err == nil:
		return nil, nil
	case !errors.As(err, &failed):
		return nil, fmt.Errorf("running: %w", err)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case wrong == nil || played == nil:
		return nil, fmt.Errorf("it failed without a violation:\n%s", out)
	default:
		return &finding{seed: string(wrong[1]), why: shortened(string(wrong[2])), played: string(played[1])}, nil
	}
}

// compile builds the simulation's test.
func compile(ctx context.Context, binary string, flags ...string) error {
	arguments := append([]string{"test", "-c", "-o", binary}, flags...)
	if out, err := exec.CommandContext(ctx, "go", append(arguments, "./test/simulation")...).CombinedOutput(); err != nil {
		return fmt.Errorf("compiling: %w\n%s", err, out)
	}
	return nil
}

// play runs seeds of a test, up to the first that fails, and returns what was printed.
func play(ctx context.Context, binary, test string, flags ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, binary, append(flags, "-stop", "-test.run="+test+"$", "-test.timeout=4m")...)
	command.Dir = "test/simulation"
	return command.CombinedOutput()
}

// passes checks that the operator as it is passes the seed that has caught a mutant: otherwise the mutant was not the reason.
func passes(ctx context.Context, original, test, seed string) error {
	if out, err := play(ctx, original, test, "-seeds=1", "-first="+seed); err != nil {
		return fmt.Errorf("%s/%s fails without it, too: %w\n%s", test, seed, err, out)
	}
	return nil
}

var (
	violation = regexp.MustCompile(`seed (\d+): (.*)`)
	played    = regexp.MustCompile(`(?m)^ *seeds +(\d+)$`)
)

// promise is the end of a violation, which says what was violated.
var promise = regexp.MustCompile(`\b[IF][1-8]: .*`)

// shortened is a line for the table.
func shortened(text string) string {
	const most = 90
	runes := []rune(cmp.Or(promise.FindString(text), text))
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}

// source returns the changed file.
func (m mutant) source() (string, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if count := strings.Count(string(source), m.old); count != 1 {
		return "", fmt.Errorf("%q stands %d times in %s, not once: change the mutant with the code", m.old, count, m.file)
	}
	return strings.Replace(string(source), m.old, m.new, 1), nil
}

// overlay writes the changed file and the file that tells the compiler of it.
func (m mutant) overlay(folder string) (string, error) {
	source, err := m.source()
	if err != nil {
		return "", err
	}
	changed := filepath.Join(folder, filepath.Base(m.file))
	if err := os.WriteFile(changed, []byte(source), 0o600); err != nil {
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

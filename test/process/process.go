// Package process runs the project's programs for the demo and for tests: each in a process group of its own, with its
// output kept, and ended in order.
package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// keptLines bounds what is kept of a process's output in memory; its file has everything.
	keptLines = 200
	// longestLine is the longest line kept whole. A longer one is split, so that no output can block the process.
	longestLine = 64 << 10
)

// Process is a program that runs in a process group of its own, so that Ctrl-C in the terminal reaches only whoever
// started it, who then stops the others in order.
type Process struct {
	name string
	cmd  *exec.Cmd

	mu    sync.Mutex
	lines []string

	exited chan struct{} // closed when the process has ended and its output is read
	err    error         // how it ended; read after exited
}

// Start starts path with args. Its output goes to logFile.
func Start(path, logFile string, env []string, args ...string) (*Process, error) {
	name := filepath.Base(path)
	file, err := os.Create(logFile)
	if err != nil {
		return nil, fmt.Errorf("creating the log of %s: %w", name, err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("creating a pipe for %s: %w", name, err), file.Close())
	}

	// Not CommandContext: it would kill at once what should end in order.
	cmd := exec.Command(path, args...) //nolint:noctx // stopped by Stop, which gives it time to drain
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = writer, writer
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &Process{name: name, cmd: cmd, exited: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", name, err), reader.Close(), writer.Close(), file.Close())
	}
	// The child has a copy of its own; ours would keep the reader from seeing the end.
	_ = writer.Close()

	go func() {
		defer close(p.exited)
		defer file.Close()
		defer reader.Close()
		p.readLines(io.TeeReader(reader, file))
		p.err = cmd.Wait()
	}()
	return p, nil
}

func (p *Process) readLines(r io.Reader) {
	buffered := bufio.NewReaderSize(r, longestLine)
	for {
		line, err := buffered.ReadSlice('\n')
		if len(line) > 0 {
			p.add(string(line))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (p *Process) add(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	p.lines = append(p.lines, line)
	if len(p.lines) > keptLines {
		p.lines = slices.Delete(p.lines, 0, len(p.lines)-keptLines)
	}
}

// Exited is closed when the process has ended and its output has been read.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// LastLines returns up to n of the last lines that the process wrote.
func (p *Process) LastLines(n int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines[max(0, len(p.lines)-n):])
}

// ExitCode is what the process, which must have ended, left: -1 when a signal ended it.
func (p *Process) ExitCode() int {
	<-p.exited
	return p.cmd.ProcessState.ExitCode()
}

// Failure is the error of a process that ended when nobody had asked it to.
func (p *Process) Failure() error {
	err := p.err
	if err == nil {
		err = errors.New("exit status 0")
	}
	said := ""
	if last := p.LastLines(1); len(last) > 0 {
		said = ", its last words: " + last[0]
	}
	return fmt.Errorf("%s ended by itself: %w%s", p.name, err, said)
}

// Stop asks the process to end, waits for at most patience, and kills its whole group then. It may be called again.
func (p *Process) Stop(patience time.Duration) error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(patience):
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	return fmt.Errorf("%s did not end within %s of SIGTERM and was killed", p.name, patience)
}

// Signal sends a signal to the process and its whole group. One that has ended is no error.
func (p *Process) Signal(signal syscall.Signal) error {
	// A negative number addresses the group. ESRCH: it ended in between.
	if err := syscall.Kill(-p.cmd.Process.Pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("sending %s to %s: %w", signal, p.name, err)
	}
	return nil
}

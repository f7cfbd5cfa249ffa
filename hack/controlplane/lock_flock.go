//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"errors"
	"os"
	"syscall"
)

// lock takes an exclusive lock on the file at path, and calls waiting first when somebody else holds it. The kernel
// releases it when the process ends, however it ends.
func lock(path string, waiting func()) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		waiting()
		err = flockRetrying(int(file.Fd()))
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	// Closing is what releases the lock; there is no other use of the file, so that its error tells nothing.
	return func() { _ = file.Close() }, nil
}

// flockRetrying waits for the lock. The Go runtime's own signals interrupt the call now and then.
func flockRetrying(fd int) error {
	for {
		err := syscall.Flock(fd, syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package main

// lock does nothing here: two finders at once then both do the work, and the later rename wins, which is slow but right.
func lock(string, func()) (unlock func(), err error) {
	return func() {}, nil
}

package process

import (
	"errors"
	"fmt"
	"net"
)

// FreeAddresses returns n different loopback addresses that nobody listens on now. Another program may take one before it
// is used; whoever finds it taken then fails and says so.
func FreeAddresses(n int) (addresses []string, err error) {
	for range n {
		listener, listenErr := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
		if listenErr != nil {
			return nil, fmt.Errorf("looking for a free port: %w", listenErr)
		}
		// Held until all are found, so that they differ.
		defer func() { err = errors.Join(err, listener.Close()) }()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

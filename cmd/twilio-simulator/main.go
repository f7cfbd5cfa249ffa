// Command twilio-simulator plays a Twilio account with Flex on a loopback address: the REST API that clients are
// pointed at, and a control API under /simulator/ that plays customers and agents.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/flexops-dev/inactivity-operator/internal/twiliosim"
)

const (
	readHeaderTimeout = 10 * time.Second
	shutdownTimeout   = 5 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "twilio-simulator:", err)
		}
		os.Exit(1)
	}
}

// run serves until ctx is done. It prints one line of JSON when it listens: address, url, accountSid, workspaceSid.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("twilio-simulator", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var opts twiliosim.Options
	address := flags.String("listen-address", "127.0.0.1:8090", "where to listen; port 0 takes a free one")
	flags.StringVar(&opts.AccountSID, "account-sid", "", "SID of the account; made up when empty")
	flags.StringVar(&opts.AuthToken, "auth-token", "", "auth token of the account; made up and printed when empty")
	flags.StringVar(&opts.APIKeySID, "api-key-sid", "", "SID of an API key that may be used too")
	flags.StringVar(&opts.APIKeySecret, "api-key-secret", "", "secret of that API key")
	flags.StringVar(&opts.WorkspaceName, "workspace-name", "", `friendly name of the Flex workspace (default "Flex Task Assignment")`)
	verbose := flags.Bool("verbose", false, "log every request, callback and timer to stderr")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q: there are flags only", flags.Arg(0))
	case (opts.APIKeySID == "") != (opts.APIKeySecret == ""):
		return errors.New("--api-key-sid and --api-key-secret go together: set both or none")
	}
	if *verbose {
		opts.Logf = log.New(stderr, "", log.LstdFlags).Printf
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", *address, err)
	}
	madeUpToken := opts.AuthToken == ""
	simulator := twiliosim.New(opts)
	defer simulator.Close()
	//nolint:contextcheck // callbacks outlive the request that caused them; Close ends them
	server := &http.Server{Handler: simulator.Handler(), ReadHeaderTimeout: readHeaderTimeout}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	line := map[string]string{
		"address":      listener.Addr().String(),
		"url":          "http://" + listener.Addr().String(),
		"accountSid":   simulator.AccountSID(),
		"workspaceSid": simulator.WorkspaceSID(),
	}
	if madeUpToken { // nobody else could know it
		line["authToken"] = simulator.AuthToken()
	}
	if err := json.NewEncoder(stdout).Encode(line); err != nil {
		return fmt.Errorf("print the address: %w", err)
	}

	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	// The signal has cancelled ctx, so what is left to answer gets a time of its own.
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		return fmt.Errorf("stop serving: %w", err)
	}
	return nil
}

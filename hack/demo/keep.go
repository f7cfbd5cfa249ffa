package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// printThingsToTry says what is running and what a curious person may do with it.
func (d *demo) printThingsToTry() {
	kubectl := "kubectl"
	if _, err := exec.LookPath(kubectl); err != nil {
		kubectl = filepath.Join(d.assets, kubectl)
	}
	simulator := d.twilio.baseURL
	d.out.heading("Left running, because of KEEP. Ctrl-C stops everything.")
	d.out.text(fmt.Sprintf(`  export KUBECONFIG=%[1]s

  Twilio simulator  %[2]s (account %[3]s, token %[4]s)
  Receiver          %[5]s
  Probes            %[6]s/readyz
  Logs              %[7]s

Five things to try in another terminal:

  1. Apply the policy again, and watch it become Ready:
     %[8]s apply -k config/samples && %[8]s get inactivitypolicies --watch

  2. Write as another customer. The answer names the conversation and the reservation:
     curl -sS -X POST %[2]s/simulator/conversations \
       -H 'Content-Type: application/json' -d '{"channel":"sms","from":"+15550100456","body":"Hello?"}'

  3. Accept as the agent; a minute later it is over, unless somebody writes:
     curl -sS -X POST %[2]s/simulator/reservations/WR.../accept
     curl -sS -X POST %[2]s/simulator/conversations/CH.../messages \
       -H 'Content-Type: application/json' -d '{"from":"customer","body":"Still here!"}'

  4. See what the operator did, what the customer was told, and what Twilio was asked:
     %[8]s get events --sort-by=.lastTimestamp
     curl -sS %[2]s/simulator/state
     curl -sS %[2]s/simulator/journal | tail -n 5 | cut -c 1-200

  5. Change the timeout, or write something that is refused:
     %[8]s patch inactivitypolicy flex --type=merge -p '{"spec":{"timeout":"2m"}}'
     %[8]s patch inactivitypolicy flex --type=merge -p '{"spec":{"timeout":"5s"}}'
`, d.cluster.adminKubeconfig, simulator, d.twilio.accountSID, d.twilio.authToken, d.receiverAddress, d.healthURL, d.stateDir, kubectl))
}

// keep waits until ctx ends. A program that ends by itself meanwhile is an error: the person would wonder at its silence.
func (d *demo) keep(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.operator.Exited():
		return d.operator.Failure()
	case <-d.simulator.Exited():
		return d.simulator.Failure()
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
	"github.com/flexops-dev/inactivity-operator/test/process"
)

const (
	operatorName  = "manager"
	simulatorName = "twilio-simulator"

	// operatorPatience is longer than the operator's own limit for draining, 45 s, which it needs only when work is cut off.
	operatorPatience  = 50 * time.Second
	simulatorPatience = 10 * time.Second

	// soon is the limit of what takes a moment. It is generous because two builds may be running beside the demo.
	soon = 60 * time.Second
	// slack is how much later than the policy's timeout the end may come. The usual case takes a second; were the timer's
	// callback lost, the operator's own later look would find the conversation half a minute after it was due.
	slack = 60 * time.Second

	customerNumber = "+15550100123"
	customerText   = "Hi, where is my order?"
)

var samplePolicy = filepath.Join("config", "samples", "contactcenter_v1alpha1_inactivitypolicy.yaml")

// demo is everything that runs, and what the steps have found out so far.
type demo struct {
	out                      *timeline
	assets, binDir, stateDir string

	cluster   *cluster
	simulator *process.Process
	operator  *process.Process

	twilio                     *twilioClient
	receiverAddress, healthURL string

	policy   *v1alpha1.InactivityPolicy
	timeout  time.Duration // of the policy
	before   workspace     // before the operator touched it
	begun    started
	accepted time.Time
}

// play goes through the story. It returns at the first step that does not come true, naming it, or when ctx ends.
func (d *demo) play(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)

	steps := []struct {
		title string
		do    func(ctx context.Context, fail context.CancelCauseFunc) (detail string, err error)
	}{
		{"Kubernetes", d.startCluster},
		{"Twilio simulator", d.startSimulator},
		{"Operator", d.startOperator},
		{"Secret and policy", d.applyPolicy},
		{"Policy is Ready", d.waitReady},
		{"Customer writes", d.customerWrites},
		{"Agent accepts", d.agentAccepts},
		{"Timer is armed", d.waitArmed},
		{"On the customer's phone", d.waitNotice},
		{"Task is completed", d.waitCompleted},
		{"Conversation is closed", d.waitClosed},
		{"Policy is deleted", d.deletePolicy},
		{"Callback is restored", d.checkRestored},
	}
	for _, step := range steps {
		detail, err := step.do(ctx, fail)
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			// A program that has ended explains more than the request that it did not answer.
			if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
				err = fmt.Errorf("%w (%w)", cause, err)
			}
			return fmt.Errorf("%s: %w", step.title, err)
		}
		d.out.done(step.title, detail)
	}
	return nil
}

// stop stops whatever was started, in the order in which nobody complains of somebody else's absence.
func (d *demo) stop() error {
	var errs []error
	if d.operator != nil {
		errs = append(errs, d.operator.Stop(operatorPatience))
	}
	if d.simulator != nil {
		errs = append(errs, d.simulator.Stop(simulatorPatience))
	}
	if d.cluster != nil {
		errs = append(errs, d.cluster.stop())
	}
	return errors.Join(errs...)
}

func (d *demo) startCluster(context.Context, context.CancelCauseFunc) (string, error) {
	started, err := startCluster(d.assets, d.stateDir)
	if err != nil {
		return "", err
	}
	d.cluster = started
	return fmt.Sprintf("%s at %s", started.version, started.address), nil
}

func (d *demo) startSimulator(ctx context.Context, fail context.CancelCauseFunc) (string, error) {
	addresses, err := process.FreeAddresses(1)
	if err != nil {
		return "", err
	}
	accountSID, authToken := "AC"+randomHex(), randomHex()
	d.simulator, err = d.start(simulatorName, fail, nil,
		"--listen-address="+addresses[0], "--account-sid="+accountSID, "--auth-token="+authToken)
	if err != nil {
		return "", err
	}
	d.twilio = newTwilioClient("http://"+addresses[0], accountSID, authToken)
	err = until(ctx, soon, func(ctx context.Context) (string, error) { return d.twilio.notServing(ctx), nil })
	return d.twilio.baseURL, err
}

func (d *demo) startOperator(ctx context.Context, fail context.CancelCauseFunc) (string, error) {
	if err := d.cluster.grantOperator(ctx); err != nil {
		return "", err
	}
	addresses, err := process.FreeAddresses(3)
	if err != nil {
		return "", err
	}
	receiver, health, metrics := addresses[0], addresses[1], addresses[2]
	d.receiverAddress, d.healthURL = "http://"+receiver, "http://"+health
	d.operator, err = d.start(operatorName, fail, []string{"KUBECONFIG=" + d.cluster.operatorKubeconfig},
		"--public-url="+d.receiverAddress,
		"--receiver-bind-address="+receiver,
		"--health-probe-bind-address="+health,
		"--metrics-bind-address="+metrics,
		"--twilio-api-url="+d.twilio.baseURL)
	if err != nil {
		return "", err
	}
	err = until(ctx, soon, func(ctx context.Context) (string, error) { return d.notServing(ctx), nil })
	return "bin/manager, called at " + d.receiverAddress, err
}

// start starts a program of binDir, and fails the whole demo when it ends unasked.
func (d *demo) start(name string, fail context.CancelCauseFunc, env []string, args ...string) (*process.Process, error) {
	p, err := process.Start(filepath.Join(d.binDir, name), filepath.Join(d.stateDir, name+".log"), append(os.Environ(), env...), args...)
	if err != nil {
		return nil, err
	}
	go func() {
		<-p.Exited()
		// Without effect once the story is over: its context has ended by then.
		fail(p.Failure())
	}()
	return p, nil
}

// notServing says why the operator is not ready yet, or nothing when it is.
func (d *demo) notServing(ctx context.Context) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.healthURL+"/readyz", http.NoBody)
	if err != nil {
		return err.Error()
	}
	response, err := d.twilio.http.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "/readyz answers " + response.Status
	}
	return ""
}

func (d *demo) applyPolicy(ctx context.Context, _ context.CancelCauseFunc) (string, error) {
	objects, err := readManifest(samplePolicy)
	if err != nil {
		return "", err
	}
	policy, err := policyOf(objects)
	if err != nil {
		return "", fmt.Errorf("%s: %w", samplePolicy, err)
	}
	if d.timeout, err = policy.Spec.Timeout.Parse(); err != nil {
		return "", err
	}
	if d.before, err = d.twilio.workspaceNamed(ctx, policy.Spec.Workspace.FriendlyName); err != nil {
		return "", err
	}
	secret := policy.Spec.CredentialsSecretRef.Name
	if err := d.cluster.createSecret(ctx, secret, d.twilio.accountSID, d.twilio.authToken); err != nil {
		return "", err
	}
	if err := d.cluster.apply(ctx, objects[0]); err != nil {
		return "", err
	}
	d.policy = policy
	return fmt.Sprintf("secret/%s, inactivitypolicy/%s with timeout %s", secret, policy.Name, policy.Spec.Timeout), nil
}

func (d *demo) waitReady(ctx context.Context, _ context.CancelCauseFunc) (string, error) {
	err := until(ctx, soon, func(ctx context.Context) (string, error) {
		policy, err := d.cluster.policy(ctx, d.policy.Name)
		if err != nil {
			return "", err
		}
		return notReady(policy)
	})
	if err != nil {
		return "", err
	}
	now, err := d.twilio.workspaceNamed(ctx, d.before.FriendlyName)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(now.EventCallbackURL, d.receiverAddress+"/") {
		return "", fmt.Errorf("the policy says Ready, but the workspace calls %q", now.EventCallbackURL)
	}
	return fmt.Sprintf("workspace %q calls the operator on %s", now.FriendlyName, now.EventsFilter), nil
}

// Package apiserver gives tests a real API server with the project's CRDs.
package apiserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// assetsVariable names the folder with etcd and kube-apiserver; `make test` sets it.
const assetsVariable = "KUBEBUILDER_ASSETS"

// startTimeout is for etcd and the API server. Seconds are usual; a busy machine may take many.
const startTimeout = 90 * time.Second

// ControlPlane is etcd and an API server on loopback, with the CRDs of config/crd/bases, and nothing else of Kubernetes.
type ControlPlane struct {
	// Config is for the administrator.
	Config *rest.Config

	environment *envtest.Environment
}

// Start starts etcd and an API server on loopback, installs the CRDs of config/crd/bases and waits until they are
// served. The caller calls stop when it is done.
func Start() (config *rest.Config, stop func() error, err error) {
	started, err := StartControlPlane("", nil)
	if err != nil {
		return nil, nil, err
	}
	return started.Config, started.Stop, nil
}

// StartControlPlane is Start for tests that do more with the API server than use it. certDir keeps its certificates, so
// that it can be stopped and started again; when empty, it cannot. arguments are further ones of kube-apiserver.
func StartControlPlane(certDir string, arguments map[string]string) (*ControlPlane, error) {
	if os.Getenv(assetsVariable) == "" {
		return nil, errors.New("starting the test API server: " + assetsVariable + " is not set: run make test, or export " +
			assetsVariable + `="$(go run -C hack/controlplane .)"`)
	}
	root, err := Root()
	if err != nil {
		return nil, fmt.Errorf("starting the test API server: %w", err)
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,

		ControlPlaneStartTimeout: startTimeout,
	}
	server := environment.ControlPlane.GetAPIServer()
	server.CertDir = certDir
	for name, value := range arguments {
		server.Configure().Set(name, value)
	}
	config, err := environment.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the test API server: %w", err), environment.Stop())
	}
	return &ControlPlane{Config: config, environment: environment}, nil
}

// Root is the folder of the repository.
func Root() (string, error) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("the source folder is unknown")
	}
	return filepath.Join(filepath.Dir(here), "..", ".."), nil
}

// Stop stops etcd and the API server.
func (c *ControlPlane) Stop() error { return c.environment.Stop() }

// StopAPIServer stops the API server and leaves etcd running.
func (c *ControlPlane) StopAPIServer() error {
	if err := c.environment.ControlPlane.GetAPIServer().Stop(); err != nil {
		return fmt.Errorf("stopping the API server: %w", err)
	}
	return nil
}

// StartAPIServer starts the API server again, at the same address, with what etcd holds, and waits until it serves.
func (c *ControlPlane) StartAPIServer() error {
	if err := c.environment.ControlPlane.GetAPIServer().Start(); err != nil {
		return fmt.Errorf("starting the API server again: %w", err)
	}
	return nil
}

// Kubeconfig makes a user, of no group, and returns a kubeconfig for it.
func (c *ControlPlane) Kubeconfig(user string) ([]byte, error) {
	added, err := c.environment.AddUser(envtest.User{Name: user}, nil)
	if err != nil {
		return nil, fmt.Errorf("adding the user %s: %w", user, err)
	}
	text, err := added.KubeConfig()
	if err != nil {
		return nil, fmt.Errorf("making a kubeconfig for %s: %w", user, err)
	}
	return text, nil
}

// Package apiserver gives tests a real API server with the project's CRDs.
package apiserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// assetsVariable names the folder with etcd and kube-apiserver; `make test` sets it.
const assetsVariable = "KUBEBUILDER_ASSETS"

// Start starts etcd and an API server on loopback, installs the CRDs of config/crd/bases and waits until they are
// served. The caller calls stop when it is done.
func Start() (config *rest.Config, stop func() error, err error) {
	if os.Getenv(assetsVariable) == "" {
		return nil, nil, errors.New("starting the test API server: " + assetsVariable + " is not set: run make test, or export " +
			assetsVariable + `="$(go run -C hack/controlplane .)"`)
	}
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return nil, nil, errors.New("starting the test API server: the source folder is unknown")
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join(filepath.Dir(here), "..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err = environment.Start()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("starting the test API server: %w", err), environment.Stop())
	}
	return config, environment.Stop, nil
}

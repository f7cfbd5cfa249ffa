package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// limit is for what takes a moment, or seconds between two tries.
const limit = 30 * time.Second

// A process that is told to stop while the API server is away has to end: a pod would be terminating for its whole grace
// period.
func TestStopsBeforeTheCacheHasSynced(t *testing.T) {
	g := gomega.NewWithT(t)
	var asked, healthy atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(true)
		if !healthy.Load() || r.URL.Query().Get("watch") != "" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}`))
	}))
	t.Cleanup(server.Close)
	mgr, err := ctrl.NewManager(&rest.Config{Host: server.URL}, ctrl.Options{
		Metrics: metricsserver.Options{BindAddress: "0"},
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) {
			mapper := meta.NewDefaultRESTMapper(nil)
			mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, meta.RESTScopeNamespace)
			return mapper, nil
		},
	})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	_, err = mgr.GetCache().GetInformer(t.Context(), &corev1.ConfigMap{}, cache.BlockUntilSynced(false))
	g.Expect(err).NotTo(gomega.HaveOccurred())

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- start(ctx, mgr) }()
	g.Eventually(asked.Load).WithTimeout(limit).Should(gomega.BeTrue(), "the cache is being filled")
	stop()
	g.Eventually(ended).WithTimeout(limit).Should(gomega.Receive(gomega.BeNil()))
	// What is left of the manager spins until its cache has synced.
	healthy.Store(true)
	g.Eventually(func() bool { return mgr.GetCache().WaitForCacheSync(t.Context()) }).WithTimeout(limit).Should(gomega.BeTrue())
}

package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
)

// The program serves until its context ends.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, "http://127.0.0.1:0", t.TempDir()); err != nil {
		t.Errorf("run: %v", err)
	}
	taken := httptest.NewServer(nil)
	defer taken.Close()
	if err := run(t.Context(), taken.URL, t.TempDir()); err == nil || !strings.Contains(err.Error(), taken.Listener.Addr().String()) {
		t.Errorf("run on a port in use: %v; want an error that names it", err)
	}
}

package main

import (
	"context"
	"errors"
	"net/http/httptest"
	"syscall"
	"testing"
)

// The program serves until its context ends.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, "127.0.0.1:0", page("")); err != nil {
		t.Errorf("run: %v", err)
	}
	taken := httptest.NewServer(nil)
	defer taken.Close()
	if err := run(t.Context(), taken.Listener.Addr().String(), page("none")); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("run on a port in use: %v; want EADDRINUSE", err)
	}
}

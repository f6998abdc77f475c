package engine_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/weirws/weir/engine"
	"github.com/weirws/weir/handler"
)

// An abstract socket has no file; one that is called like it stays.
func TestAbstractUnixSocket(t *testing.T) {
	t.Chdir(t.TempDir())
	name := fmt.Sprintf("@weir-test-%d", os.Getpid())
	if err := os.WriteFile(name, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := startEngine(t, engine.Options{Network: "unix", Address: name, Mux: routes(handler.Echo{})})
	expectEcho(t, e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}

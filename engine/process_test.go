package engine_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// roleVariable in the environment of the test binary makes it play one of the roles
// instead of running tests: for what needs descriptors, or memory, of its own.
const roleVariable = "WEIR_ENGINE_TEST_ROLE"

// The roles. Each gets commands one at a time and answers with one line, or fails.
var roles = map[string]func() role{
	"clients":          newClientsRole,
	"stalled clients":  newStalledRole,
	"readers":          newReadersRole,
	"dialler":          newDiallerRole,
	"idle server":      newIdleServerRole,
	"exhausted server": newExhaustedServerRole,
	"starved starter":  newStarvedStarterRole,
}

// A role carries out one command. It runs on one goroutine.
type role func(command string) (answer string, err error)

func init() {
	name := os.Getenv(roleVariable)
	if name == "" {
		return
	}
	if err := play(roles[name]()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// play carries out commands from standard input until its end, which comes at the
// latest when the parent process ends.
func play(r role) error {
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		answer, err := r(commands.Text())
		if err != nil {
			return fmt.Errorf("%s: %w", commands.Text(), err)
		}
		fmt.Println(answer)
	}
	return commands.Err()
}

// A process plays a role for the test that started it.
type process struct {
	commands io.Writer
	answers  *bufio.Reader
	pipe     *os.File // of answers
}

// startProcess starts a process that plays a role. It ends with the test, which fails
// if the process does.
func startProcess(t testing.TB, name string) *process {
	t.Helper()
	own, theirs, err := os.Pipe()
	if err != nil {
		t.Fatalf("pipe: %v", err)
	}
	defer theirs.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+name)
	cmd.Stdout = theirs
	cmd.Stderr = t.Output()
	commands, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("pipe: %v", err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting a process: %v", err)
	}
	t.Cleanup(func() {
		_ = commands.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %q: %v", name, err)
		}
		_ = own.Close()
	})
	return &process{commands: commands, answers: bufio.NewReader(own), pipe: own}
}

// ask has the process carry out a command and returns its answer.
func (p *process) ask(t testing.TB, format string, args ...any) string {
	t.Helper()
	command := fmt.Sprintf(format, args...)
	if err := p.pipe.SetReadDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatalf("SetReadDeadline: %v", err)
	}
	if _, err := fmt.Fprintln(p.commands, command); err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	answer, err := p.answers.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.TrimSuffix(answer, "\n")
}

// dialAddress is dialTCP to what is not an engine of this process.
func dialAddress(t testing.TB, address string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(4 * patience)); err != nil {
		t.Fatalf("SetDeadline: %v", err)
	}
	return &rawClient{Conn: conn, in: bufio.NewReader(conn)}
}

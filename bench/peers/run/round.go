package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/weirws/weir/bench/peers/result"
	"github.com/weirws/weir/bench/peers/target"
)

const (
	// startTime is how long a server may take until it accepts.
	startTime = 10 * time.Second
	// slackTime is what the load generator may need besides warm-up and
	// duration, to connect and to drain.
	slackTime = time.Minute
	// othersAllowed is how much of one processor anything besides server and
	// generator may take in a good round.
	othersAllowed = 0.1
	// attemptsPerRound bounds how often a round is run until it is a good one.
	attemptsPerRound = 3
)

// bench carries out rounds with the programs in dir.
type bench struct {
	options
	dir      string
	progress io.Writer
}

// measure runs the rounds of one scenario. A target that fails is left out of what
// follows; an error is only returned once ctx is done.
func (b *bench) measure(ctx context.Context, s scenario) (report, error) {
	r := report{Scenario: s.name, About: s.about, Figure: s.figure}
	for _, t := range b.targets {
		r.Targets = append(r.Targets, series{Name: t.Name})
	}
	for range b.rounds {
		for i, t := range b.targets {
			if r.Targets[i].Failure != "" {
				continue
			}
			figures, err := b.calmRound(ctx, s, t)
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			if err != nil {
				r.Targets[i] = series{Name: t.Name, Failure: err.Error()}
				continue
			}
			r.Targets[i].Rounds = append(r.Targets[i].Rounds, figures)
		}
	}
	return r, nil
}

// calmRound runs a round, and again as long as something else on the machine disturbs
// it, within bounds. What it returns is what was disturbed least.
func (b *bench) calmRound(ctx context.Context, s scenario, t target.Target) (result.Result, error) {
	var best result.Result
	for attempt := range attemptsPerRound {
		figures, err := b.round(ctx, s, t)
		if err != nil {
			return result.Result{}, err
		}
		fmt.Fprintf(b.progress, "%s: %s %s %s, others %.0f %%\n",
			s.name, t.Name, digits(s.figure.of(figures)), s.figure.Unit, 100*others(figures))
		if attempt == 0 || others(figures) < others(best) {
			best = figures
		}
		if others(best) <= othersAllowed {
			break
		}
	}
	return best, nil
}

// round starts the server, loads it once and kills it.
func (b *bench) round(ctx context.Context, s scenario, t target.Target) (result.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime+b.warmUp+b.length+slackTime)
	defer cancel()
	port, err := freePort()
	if err != nil {
		return result.Result{}, err
	}
	var said bytes.Buffer // bounded by what a server says in one round
	server := pinned(ctx, b.serverCPU, t.CommandLine(b.dir, port))
	server.Stderr = &said
	if err := server.Start(); err != nil {
		return result.Result{}, err
	}
	ended := make(chan struct{})
	go func() { // ends with the server, which round does not outlive
		server.Wait()
		close(ended)
	}()
	figures, err := b.load(ctx, s, t, "127.0.0.1:"+port, server.Process.Pid, ended)
	server.Process.Kill()
	<-ended
	if err != nil {
		err = fmt.Errorf("%w; the server said: %.1000s", err, said.Bytes())
	}
	return figures, err
}

// load waits for the server and runs the generator against it.
func (b *bench) load(ctx context.Context, s scenario, t target.Target, address string, pid int, ended <-chan struct{}) (result.Result, error) {
	var r result.Result
	if err := awaitServer(ctx, address, ended); err != nil {
		return r, err
	}
	generator := pinned(ctx, b.generatorCPU, append([]string{filepath.Join(b.dir, "load"), "--address", address,
		"--protocol", t.Protocol, "--server-pid", strconv.Itoa(pid),
		"--warm-up", b.warmUp.String(), "--duration", b.length.String()}, s.load...))
	var complaint bytes.Buffer
	generator.Stderr = &complaint
	output, err := generator.Output()
	if err != nil {
		return r, fmt.Errorf("%w: %.1000s", err, complaint.Bytes())
	}
	return r, json.Unmarshal(output, &r)
}

// pinned is the command on the given processors. taskset becomes the command,
// so the process is the one that is started.
func pinned(ctx context.Context, processors string, line []string) *exec.Cmd {
	return exec.CommandContext(ctx, "taskset", append([]string{"-c", processors}, line...)...)
}

// freePort is a port that nothing listens on at the moment.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// awaitServer returns once address accepts connections.
func awaitServer(ctx context.Context, address string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ended:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("the server does not listen: %w", err)
		case <-again.C:
		}
	}
}

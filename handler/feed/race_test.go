package feed

import (
	"bytes"
	"runtime"
	"testing"
	"time"
)

// A publisher that waits for the lock of a topic, while the first subscriber of the feed has
// it, hands its message to the engine. It took the hub before the lock, when there was none,
// and the subscriber never got the message.
func TestPublishWhileTheFirstSubscribes(t *testing.T) {
	f, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := f.acquire("a")
	if err != nil {
		t.Fatal(err)
	}
	defer topic.release()
	topic.mu.Lock()
	published := make(chan error, 1)
	go func() { // ends with the send, which there is room for
		_, err := f.Publish("a", Message{})
		published <- err
	}()
	awaitPublisher(t)
	hub := &busyHub{room: 1}
	f.attach(hub)
	topic.mu.Unlock()
	if err := <-published; err != nil || len(hub.got) != 1 {
		t.Errorf("Publish: %v; the engine got %q, want one message", err, hub.got)
	}
}

// awaitPublisher waits until a goroutine in Publish waits for a lock.
func awaitPublisher(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
			if bytes.Contains(stack, []byte("(*Feed).Publish(")) && bytes.Contains(stack, []byte("sync.(*Mutex).Lock(")) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody waits in Publish: %s", stacks)
		}
	}
}

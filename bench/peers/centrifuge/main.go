// Command centrifuge serves the benchmark's paths on centrifugal/centrifuge, the
// way its documentation does. It speaks a protocol of its own on top of WebSocket,
// of which this uses the JSON form: a client connects with
//
//	{"id":1,"connect":{}}
//
// and sends {"send":{"data":DATA}}. On /echo what comes back is
// {"push":{"message":{"data":DATA}}}. On /broadcast the server publishes to a channel
// that it has subscribed every client to, and they get
// {"push":{"channel":"all","pub":{"data":DATA}}}. Several that wait are joined
// in one message, a line each. DATA is JSON.
package main

import (
	"context"
	"net/http"

	"github.com/centrifugal/centrifuge"

	"github.com/weirws/weir/bench/peers/serve"
)

const (
	channel = "all"
	// maxMessageBytes is above what the benchmark sends; the default is 64 KiB.
	maxMessageBytes = 16 << 20
)

func main() { serve.Main(run) }

func run(address string) error {
	echo, err := newNode(centrifuge.ConnectReply{}, func(c *centrifuge.Client, data []byte) {
		_ = c.Send(data) // centrifuge ends a connection that fails
	})
	if err != nil {
		return err
	}
	everyone := centrifuge.ConnectReply{Subscriptions: map[string]centrifuge.SubscribeOptions{channel: {}}}
	var broadcast *centrifuge.Node
	broadcast, err = newNode(everyone, func(_ *centrifuge.Client, data []byte) {
		_, _ = broadcast.Publish(channel, data)
	})
	if err != nil {
		return err
	}
	return serve.HTTP(address, handle(echo), handle(broadcast))
}

// newNode starts a node that greets every client with reply and hands on what it sends.
func newNode(reply centrifuge.ConnectReply, receive func(c *centrifuge.Client, data []byte)) (*centrifuge.Node, error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return reply, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnMessage(func(e centrifuge.MessageEvent) { receive(c, e.Data) })
	})
	return node, node.Run()
}

// handle serves clients, all of them anonymous.
func handle(node *centrifuge.Node) http.HandlerFunc {
	handler := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{MessageSizeLimit: maxMessageBytes})
	return func(w http.ResponseWriter, r *http.Request) {
		ctx := centrifuge.SetCredentials(r.Context(), &centrifuge.Credentials{})
		handler.ServeHTTP(w, r.WithContext(ctx))
	}
}

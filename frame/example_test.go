package frame_test

import (
	"fmt"

	"github.com/weirws/weir/frame"
)

// Two messages arrive in pieces that have nothing to do with their borders.
func ExampleDecoder() {
	key := [4]byte{1, 2, 3, 4}
	stream := frame.AppendMaskedFrame(nil, true, false, frame.Text, key, []byte("hello"))
	stream = frame.AppendMaskedFrame(stream, false, false, frame.Binary, key, []byte("wor"))
	stream = frame.AppendMaskedFrame(stream, true, false, frame.Continuation, key, []byte("ld"))

	dec := frame.NewDecoder(&frame.DecoderOptions{Role: frame.Server}, false)
	defer dec.Release()
	for _, in := range [][]byte{stream[:4], stream[4:15], stream[15:]} {
		for len(in) > 0 {
			m, n, err := dec.Decode(in)
			if err != nil {
				fmt.Println(err)
				return
			}
			in = in[n:]
			if m.Op != frame.Continuation {
				fmt.Printf("%v %s\n", m.Op, m.Payload)
			}
			m.Buffer.Release()
		}
	}
	// Output:
	// text hello
	// binary world
}

// One message for two clients, of which one has negotiated compression.
func ExamplePrepare() {
	opts := frame.DeflateOptions{Enabled: true, MinBytes: 100}
	deflate, _ := frame.NegotiateDeflate(opts, []string{"permessage-deflate"})

	message := make([]byte, 1000)
	p := frame.Prepare(frame.Binary, message, &opts)
	fmt.Println(len(p.Bytes(frame.Deflate{})))
	fmt.Println(len(p.Bytes(deflate)) < 100)
	// Output:
	// 1004
	// true
}

func ExampleNegotiateDeflate() {
	opts := frame.DeflateOptions{Enabled: true}
	_, response := frame.NegotiateDeflate(opts, []string{
		"permessage-deflate; server_max_window_bits=20, permessage-deflate; server_max_window_bits=10",
	})
	fmt.Println(response)
	// Output:
	// permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10
}

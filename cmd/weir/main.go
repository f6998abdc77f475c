// Command weir serves WebSocket connections.
//
//	weir serve		listen on 127.0.0.1:7681, with a chat page to try
//	weir dial URL		send lines to a server, and print its messages
//	weir cert		make a certificate, to try TLS with
//	weir bench echo URL	load a server and measure it
//	weir client-js PATH	write the script that pages of handler/ambiorix load
//	weir help serve		the flags of a command
//
// It exits with 0 when all went well, 1 when something failed, and 2 when it was
// called in a way it does not understand.
package main

import (
	"context"
	"os"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == benchWorker {
		os.Exit(workForBench(os.Stdin, os.Stdout))
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

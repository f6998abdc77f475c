// Package serve is what the servers in bench/peers have in common: their
// command line.
package serve

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// Main is the main function of a server: it calls run with the address to listen
// on, and ends the process with what run returns.
//
//	NAME PORT	listen on 127.0.0.1:PORT until killed
func Main(run func(address string) error) {
	name := filepath.Base(os.Args[0])
	if len(os.Args) != 2 {
		fmt.Fprintf(os.Stderr, "usage: %s PORT\n", name)
		os.Exit(2)
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, run(net.JoinHostPort("127.0.0.1", os.Args[1])))
	os.Exit(1)
}

// HTTP serves the benchmark's paths with net/http until something fails, and
// returns what.
func HTTP(address string, echo, broadcast http.HandlerFunc) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/broadcast", broadcast)
	return http.ListenAndServe(address, mux)
}

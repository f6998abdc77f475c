// Package peers holds what Weir is measured against and with: the floor, which
// is the barest server that answers frames at all; servers on other libraries, each
// written the way the library's own documentation does it; a load generator; and the
// program that runs all of them in turn and compares their costs. It is a module of
// its own, so that none of their dependencies are Weir's.
//
//	go run ./run		all scenarios, all servers
//	go run ./run --help	its flags
//
// Every server has /echo, which sends a message back, and /broadcast, which hands it
// to everyone there.
package peers

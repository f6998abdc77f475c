// Package peers holds what Weir is measured against and with: the floor, which
// is the barest server that answers frames at all, servers on other libraries,
// a load generator, and the program that runs two servers in turn and prints
// the ratio of their costs. It is a module of its own, so that none of their
// dependencies are Weir's.
//
//	go run ./run		all scenarios, the floors against Weir
//	go run ./run -help	its flags
package peers

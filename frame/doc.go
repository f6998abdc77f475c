// Package frame turns RFC 6455 bytes into messages and messages into bytes,
// with the permessage-deflate extension of RFC 7692.
//
// Decoder takes whatever bytes have arrived, in any cut, and yields one Message
// at a time; the Append functions encode one frame each; Prepared is a message
// encoded once for any number of receivers; NegotiateDeflate answers a client's
// extension offers. Nothing here does I/O, starts a goroutine, reads a clock or
// logs, so an event loop, a test and a fuzzer drive exactly the same code.
//
// Memory is the caller's concern in two places only. A Message that lay whole in
// the input borrows from it; any other message comes in a Buffer from a pool,
// which its receiver releases once. An idle Decoder holds no memory.
package frame

// The opening handshake of RFC 6455 section 4.2.2, server side.
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include <stddef.h>

enum { RESPONSE_BYTES = 256 };

// request_size returns the size of the HTTP request head at p, its empty line
// included, or 0 while that line has not arrived.
size_t request_size(const unsigned char *p, size_t n);

// accept_request writes the 101 response to a request head of n bytes and
// returns its length, or 0 if the request carries no usable key. response has
// room for RESPONSE_BYTES.
size_t accept_request(const char *request, size_t n, char *response);

#endif

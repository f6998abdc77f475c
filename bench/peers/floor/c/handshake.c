#define _GNU_SOURCE
#include "handshake.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { KEY_CHARS = 24, DIGEST_BYTES = 20, ACCEPT_CHARS = 28 };

static uint32_t rotate(uint32_t x, int bits)
{
	return x << bits | x >> (32 - bits);
}

static void sha1_block(uint32_t state[5], const unsigned char *p)
{
	uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
	for (int i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
	for (int i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
			     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
			     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
				      : (b ^ c ^ d) + 0xca62c1d6;
		uint32_t t = rotate(a, 5) + f + e + w[i];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = t;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

// sha1 hashes 56 to 119 bytes, which is always two blocks when padded: a key
// with the GUID of section 1.3 behind it is 60.
static void sha1(const char *text, size_t n, unsigned char digest[DIGEST_BYTES])
{
	uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	unsigned char blocks[128] = {0};
	memcpy(blocks, text, n);
	blocks[n] = 0x80;
	blocks[126] = n * 8 >> 8;
	blocks[127] = n * 8;
	sha1_block(state, blocks);
	sha1_block(state, blocks + 64);
	for (int i = 0; i < DIGEST_BYTES; i++)
		digest[i] = state[i / 4] >> (24 - i % 4 * 8);
}

// base64 encodes a digest; 20 bytes leave two for the last group, hence one
// padding character.
static void base64(const unsigned char digest[DIGEST_BYTES], char text[ACCEPT_CHARS + 1])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char bytes[DIGEST_BYTES + 1] = {0};
	memcpy(bytes, digest, DIGEST_BYTES);
	for (int i = 0; i < ACCEPT_CHARS; i++) {
		const unsigned char *group = bytes + i / 4 * 3;
		uint32_t bits = group[0] << 16 | group[1] << 8 | group[2];
		text[i] = alphabet[bits >> (18 - i % 4 * 6) & 63];
	}
	text[ACCEPT_CHARS - 1] = '=';
	text[ACCEPT_CHARS] = 0;
}

// find_key returns the value of Sec-WebSocket-Key, or NULL. The request ends
// with an empty line, so every field that is looked at is followed by CR LF.
static const char *find_key(const char *request, size_t n)
{
	static const char name[] = "\r\nSec-WebSocket-Key:";
	const char *end = request + n;
	for (const char *p = request; (size_t)(end - p) >= sizeof name - 1 + KEY_CHARS; p++) {
		if (strncasecmp(p, name, sizeof name - 1) != 0)
			continue;
		p += sizeof name - 1;
		while (*p == ' ')
			p++;
		if (end - p < KEY_CHARS + 2 || memcmp(p + KEY_CHARS, "\r\n", 2) != 0)
			return NULL;
		return p;
	}
	return NULL;
}

size_t request_size(const unsigned char *p, size_t n)
{
	const unsigned char *end = memmem(p, n, "\r\n\r\n", 4);
	return end ? end - p + 4 : 0;
}

size_t accept_request(const char *request, size_t n, char *response)
{
	char text[KEY_CHARS + 36 + 1], accept[ACCEPT_CHARS + 1];
	unsigned char digest[DIGEST_BYTES];
	const char *key = find_key(request, n);
	if (!key)
		return 0;
	snprintf(text, sizeof text, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", KEY_CHARS, key);
	sha1(text, strlen(text), digest);
	base64(digest, accept);
	return snprintf(response, RESPONSE_BYTES,
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			accept);
}

// floor is the barest WebSocket server on epoll: one thread, raw system calls
// on non-blocking sockets, frames unmasked where they lie, and all the frames
// of one read answered by one write. It is the mark that the cost of a message
// is measured against, so it does what no server could leave out and nothing
// else: no UTF-8 check, no rules for fragments, no deadlines.
//
//	floor PORT	listen on 127.0.0.1:PORT until killed
//
// /echo sends every frame back to its sender. /broadcast writes every data
// frame, encoded once, to everyone on /broadcast in a plain loop of writes.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handshake.h"

enum {
	READ_BYTES = 256 << 10,
	REQUEST_BYTES = 4 << 10,  // largest opening handshake
	PAYLOAD_BYTES = 16 << 20, // largest payload
	BACKLOG_BYTES = 32 << 20, // reply bytes a peer may leave unread
	EVENTS = 1024,
};

// MALFORMED is the size of a frame that this server will not read.
#define MALFORMED SIZE_MAX

enum state { CLOSED, OPENING, ECHO, BROADCAST };

struct conn {
	enum state state;
	int closing; // shut down once out is empty

	// A request or frame that is not whole yet; NULL when there is none.
	unsigned char *in;
	size_t in_len, in_cap;

	// Bytes the socket would not take; NULL when there are none. While it
	// is set the connection waits for EPOLLOUT and is not read.
	unsigned char *out;
	size_t out_pos, out_len;
};

static unsigned char scratch[READ_BYTES];
static struct conn *conns; // by descriptor
static int top;            // no connection has a higher descriptor
static int poller;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *must(void *memory)
{
	if (!memory)
		die("memory");
	return memory;
}

static void watch(int fd, int op, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};
	if (epoll_ctl(poller, op, fd, &event) < 0)
		die("epoll_ctl");
}

static void drop(int fd)
{
	struct conn *c = &conns[fd];
	free(c->in);
	free(c->out);
	memset(c, 0, sizeof *c);
	close(fd);
}

// hang_up makes the peer's connection end at its next event, so that no caller
// loses the connection it is working on.
static void hang_up(int fd)
{
	shutdown(fd, SHUT_RDWR);
}

// append_out keeps what the socket would not take. A peer that is too far
// behind is cut off.
static void append_out(int fd, const unsigned char *p, size_t n)
{
	struct conn *c = &conns[fd];
	if (c->out_len - c->out_pos + n > BACKLOG_BYTES) {
		hang_up(fd);
		return;
	}
	if (!c->out)
		watch(fd, EPOLL_CTL_MOD, EPOLLOUT);
	if (c->out_pos > c->out_len / 2) { // mostly sent: do not let it grow for ever
		c->out_len -= c->out_pos;
		memmove(c->out, c->out + c->out_pos, c->out_len);
		c->out_pos = 0;
	}
	c->out = must(realloc(c->out, c->out_len + n));
	memcpy(c->out + c->out_len, p, n);
	c->out_len += n;
}

static void send_bytes(int fd, const unsigned char *p, size_t n)
{
	ssize_t taken = 0;
	if (!conns[fd].out)
		taken = write(fd, p, n);
	if (taken < 0) {
		if (errno != EAGAIN) {
			hang_up(fd);
			return;
		}
		taken = 0;
	}
	if ((size_t)taken < n)
		append_out(fd, p + taken, n - taken);
}

// publish writes one encoded frame to everyone on /broadcast.
static void publish(const unsigned char *frame, size_t n)
{
	for (int fd = 0; fd <= top; fd++)
		if (conns[fd].state == BROADCAST)
			send_bytes(fd, frame, n);
}

// parse returns the size of the client frame at p, header included, and where
// its payload begins; 0 while the header is cut; MALFORMED for a frame that is
// unmasked or too long.
static size_t parse(const unsigned char *p, size_t n, size_t *payload)
{
	if (n < 2)
		return 0;
	if (!(p[1] & 0x80))
		return MALFORMED;
	size_t length = p[1] & 0x7f, extra = length < 126 ? 0 : length == 126 ? 2 : 8;
	*payload = 2 + extra + 4;
	if (n < *payload)
		return 0;
	if (extra) {
		length = 0;
		for (size_t i = 0; i < extra; i++)
			length = length << 8 | p[2 + i];
	}
	if (length > PAYLOAD_BYTES)
		return MALFORMED;
	return *payload + length;
}

static size_t header_size(size_t length)
{
	return length < 126 ? 2 : length <= 0xffff ? 4 : 10;
}

static void put_header(unsigned char *p, unsigned char first, size_t length)
{
	size_t size = header_size(length);
	p[0] = first;
	p[1] = size == 2 ? length : size == 4 ? 126 : 127;
	for (size_t i = size - 1; i > 1; i--, length >>= 8)
		p[i] = length;
}

// unmask copies n bytes from src to dst and takes the masking key off. dst may
// overlap src from below: every block is read before it is written.
static void unmask(unsigned char *dst, const unsigned char *src, size_t n, uint32_t key)
{
	typedef uint32_t block __attribute__((vector_size(32)));
	const block keys = {key, key, key, key, key, key, key, key};
	for (; n >= sizeof keys; n -= sizeof keys, src += sizeof keys, dst += sizeof keys) {
		block b;
		memcpy(&b, src, sizeof b);
		b ^= keys;
		memcpy(dst, &b, sizeof b);
	}
	for (size_t i = 0; i < n; i++)
		dst[i] = src[i] ^ (unsigned char)(key >> i % 4 * 8);
}

// answer works through the whole frames at the start of p and returns how many
// bytes they were. Replies are built in p itself: a server frame is shorter
// than the client frame it answers, so the first one lies where its payload
// is, and the others move down to follow it.
static size_t answer(int fd, unsigned char *p, size_t n)
{
	struct conn *c = &conns[fd];
	unsigned char *first = NULL, *end = NULL;
	size_t used = 0, size, payload;
	while (!c->closing && (size = parse(p + used, n - used, &payload)) && size <= n - used) {
		unsigned char *frame = p + used;
		size_t length = size - payload;
		unsigned char opcode = frame[0] & 0x0f;
		unsigned char head = opcode == 0x9 ? 0x8a : frame[0]; // a ping is answered by a pong
		uint32_t key;
		memcpy(&key, frame + payload - 4, sizeof key);
		used += size;
		if (opcode == 0xa)
			continue;
		size_t header = header_size(length);
		unsigned char *reply = end ? end : frame + payload - header;
		put_header(reply, head, length);
		unmask(reply + header, frame + payload, length, key);
		if (c->state == BROADCAST && opcode < 0x8) {
			publish(reply, header + length);
			continue;
		}
		if (!first)
			first = reply;
		end = reply + header + length;
		c->closing = opcode == 0x8;
	}
	if (first)
		send_bytes(fd, first, end - first);
	if (c->closing)
		used = n;
	if (c->closing && !c->out)
		hang_up(fd);
	return used;
}

// keep stores the bytes from used on, which are not a whole frame, until the
// rest arrives. A frame whose length is known gets exactly its room.
static void keep(struct conn *c, const unsigned char *p, size_t used, size_t n)
{
	size_t rest = n - used, payload, size = 0;
	unsigned char *room = NULL;
	if (rest) {
		if (c->state != OPENING)
			size = parse(p + used, rest, &payload);
		if (size < REQUEST_BYTES)
			size = REQUEST_BYTES;
		if (used == 0 && p == c->in && size <= c->in_cap) {
			c->in_len = n;
			return;
		}
		room = memcpy(must(malloc(size)), p + used, rest);
	}
	free(c->in);
	c->in = room;
	c->in_len = rest;
	c->in_cap = size;
}

// open_path answers the opening handshake at the start of p and returns its
// size, or 0 while it is cut.
static size_t open_path(int fd, const unsigned char *p, size_t n)
{
	char response[RESPONSE_BYTES];
	size_t size = request_size(p, n);
	if (!size)
		return 0;
	size_t length = accept_request((const char *)p, size, response);
	if (!length) {
		hang_up(fd);
		return size;
	}
	conns[fd].state = memmem(p, size, "GET /broadcast ", 15) == p ? BROADCAST : ECHO;
	send_bytes(fd, (const unsigned char *)response, length);
	return size;
}

static void on_readable(int fd)
{
	struct conn *c = &conns[fd];
	unsigned char *p = scratch;
	size_t n = 0, cap = sizeof scratch, used = 0, payload;
	if (c->in) {
		p = c->in;
		n = c->in_len;
		cap = c->in_cap;
	}
	// A full buffer, which only an endless handshake can cause, reads 0 bytes
	// and so ends the connection too.
	ssize_t got = read(fd, p + n, cap - n);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		drop(fd);
		return;
	}
	n += got;
	if (c->state == OPENING)
		used = open_path(fd, p, n);
	if (c->state != OPENING)
		used += answer(fd, p + used, n - used);
	if (c->state != OPENING && parse(p + used, n - used, &payload) == MALFORMED) {
		drop(fd);
		return;
	}
	keep(c, p, used, n);
}

static void on_writable(int fd)
{
	struct conn *c = &conns[fd];
	ssize_t taken = write(fd, c->out + c->out_pos, c->out_len - c->out_pos);
	if (taken < 0 && errno == EAGAIN)
		return;
	if (taken < 0) {
		drop(fd);
		return;
	}
	c->out_pos += taken;
	if (c->out_pos < c->out_len)
		return;
	free(c->out);
	c->out = NULL;
	c->out_pos = c->out_len = 0;
	watch(fd, EPOLL_CTL_MOD, EPOLLIN);
	if (c->closing)
		hang_up(fd);
}

static void accept_all(int listener)
{
	int fd;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		conns[fd].state = OPENING;
		watch(fd, EPOLL_CTL_ADD, EPOLLIN);
		if (fd > top)
			top = fd;
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		die("accept4");
}

static int listen_on(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // accepted sockets inherit it
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0)
		die("listen");
	return fd;
}

// allow_descriptors raises the limit as far as it goes and returns it.
static size_t allow_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit");
	return limit.rlim_cur;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	if (argc != 2) {
		fprintf(stderr, "usage: floor PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	conns = must(calloc(allow_descriptors(), sizeof *conns));
	poller = epoll_create1(0);
	int listener = listen_on(atoi(argv[1]));
	watch(listener, EPOLL_CTL_ADD, EPOLLIN);
	for (;;) {
		int n = epoll_wait(poller, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener)
				accept_all(listener);
			else if (conns[fd].out)
				on_writable(fd);
			else if (conns[fd].state != CLOSED)
				on_readable(fd);
		}
	}
}

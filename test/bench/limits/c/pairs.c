/* Ways of payload through a pair of local sockets. */
#include "limits.h"

static int small[2]; /* with the machine's default buffer */
static int ends[2];
static int pipes[2];
static size_t chunk;

static void sized(size_t n)
{
	if (write(ends[0], from, n) != (ssize_t)n || read(ends[1], to, n) != (ssize_t)n)
		die("pair");
}

/* What a connection takes before its first byte and after its last. */
static void made(size_t n)
{
	int fds[2];

	(void)n;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		die("socketpair");
	close(fds[0]);
	close(fds[1]);
}

/* What stays in the pair until it is acknowledged: peeked for each sending, then dropped. */
static void peeked(size_t n)
{
	if (write(pair[0], from, n) != (ssize_t)n || recv(pair[1], to, n, MSG_PEEK) != (ssize_t)n ||
	    read(pair[1], to, n) != (ssize_t)n)
		die("peek");
}

static void spliced(size_t n)
{
	struct iovec v = { from, n };

	if (vmsplice(pipes[1], &v, 1, 0) != (ssize_t)n || splice(pipes[0], NULL, pair[0], NULL, n, 0) != (ssize_t)n ||
	    read(pair[1], to, n) != (ssize_t)n)
		die("vmsplice");
}

/* The frame goes to the pair as the engine does it: read, send from behind the headers. */
static void tap_to_pair(size_t n)
{
	ssize_t got;

	if (write(packet, frame, frame_len) != (ssize_t)frame_len)
		die("packet socket");
	got = read(tap, to, SUPER + 256);
	if (got != (ssize_t)frame_len)
		die("TAP");
	if (send(pair[0], to + frame_len - n, n, MSG_DONTWAIT) != (ssize_t)n || read(pair[1], to, n) != (ssize_t)n)
		die("pair");
}

/* The same by splice, where only headers come up. A TAP may refuse it. */
static int tap_splice_works(void)
{
	ssize_t got;

	if (write(packet, frame, frame_len) != (ssize_t)frame_len)
		die("packet socket");
	got = splice(tap, NULL, pipes[1], NULL, SUPER + 256, 0);
	if (got < 0)
		refused("pair-from-tap-splice");
	if (read(got < 0 ? tap : pipes[0], to, SUPER + 256) < 0)
		die("TAP");
	return got >= 0;
}

static void tap_splice(size_t n)
{
	size_t left = n;

	if (write(packet, frame, frame_len) != (ssize_t)frame_len ||
	    splice(tap, NULL, pipes[1], NULL, SUPER + 256, 0) != (ssize_t)frame_len ||
	    read(pipes[0], to, frame_len - n) != (ssize_t)(frame_len - n))
		die("splice of the TAP");
	while (left > 0) {
		ssize_t k = splice(pipes[0], NULL, pair[0], NULL, left, 0);

		if (k <= 0 || recv(pair[1], to, k, MSG_WAITALL) != k)
			die("splice to the pair");
		left -= k;
	}
}

static void pours(void)
{
	while (write(ends[0], from, chunk) > 0)
		;
}

static void drinks(size_t n)
{
	if (recv(ends[1], to, n, MSG_WAITALL) != (ssize_t)n)
		die("recv");
}

void pair_loops(void)
{
	static const size_t sizes[] = { 1448, 16384, 32768, 65536, 131072, 262144 };
	static const struct {
		const char *name;
		int room;
	} rooms[] = { { "208k", 212992 / 2 }, { "512k", 1 << 18 }, { "1m", 1 << 19 }, { "2m", 1 << 20 } };

	if (!wanted("pair-"))
		return;
	if (pipe(pipes) < 0 || fcntl(pipes[0], F_SETPIPE_SZ, 1 << 20) < 0)
		die("pipe");
	measure("pair-made", 0, made);
	measure("pair-peek", 1448, peeked);
	measure("pair-peek", SUPER, peeked);
	measure("pair-vmsplice", 1448, spliced);
	measure("pair-vmsplice", SUPER, spliced);
	for (int i = 0; i < 2; i++) {
		size_t n = i ? SUPER - 64 - 1448 : 1448;

		make_frame(n);
		measure("pair-from-tap", n, tap_to_pair);
		if (wanted("pair-from-tap-splice") && tap_splice_works())
			measure("pair-from-tap-splice", n, tap_splice);
	}
	for (size_t r = 0; r < sizeof rooms / sizeof *rooms; r++) {
		char name[64];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, small) < 0)
			die("socketpair");
		if (setsockopt(small[0], SOL_SOCKET, SO_SNDBUFFORCE, &rooms[r].room, sizeof rooms[r].room) < 0)
			die("SO_SNDBUFFORCE");
		memcpy(ends, small, sizeof ends);
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			pid_t child;

			chunk = sizes[i];
			snprintf(name, sizeof name, "pair-size-%s", rooms[r].name);
			/* What does not fit at once waits for a reader, who is this thread. */
			if (chunk * 2 <= (size_t)rooms[r].room)
				measure(name, chunk, sized);
			snprintf(name, sizeof name, "pair-stream-%s", rooms[r].name);
			if (!wanted(name))
				continue;
			child = start(-1, pours);
			measure(name, chunk, drinks);
			stop(child);
			while (recv(ends[1], to, 1 << 20, MSG_DONTWAIT) > 0)
				;
		}
		close(small[0]);
		close(small[1]);
	}
}

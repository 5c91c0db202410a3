/* A client by the transport-level interface, which waits in its calls: it sends
 * a megabyte, takes it back, and releases the connection. client ADDR PORT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "tli.h"

#define SIZE (1 << 20)

static void must(int result, const char *what)
{
	if (result < 0) {
		t_error(what);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	static char out[SIZE], in[SIZE];
	union address to;
	struct t_call call = {0};
	int fd, i, n, sent = 0, got = 0, flags;

	if (argc != 3)
		return 2;
	to = address(argv[1], atoi(argv[2]));
	must(fd = t_open(device, O_RDWR, NULL), "t_open");
	must(t_bind(fd, NULL, NULL), "t_bind");
	call.addr.buf = &to;
	call.addr.len = addrlen;
	must(t_connect(fd, &call, NULL), "t_connect");
	for (i = 0; i < SIZE; i++)
		out[i] = (char)(i * 7 >> 3);
	while (got < SIZE) {
		if (sent < SIZE) {
			must(n = t_snd(fd, out + sent, SIZE - sent < 8192 ? SIZE - sent : 8192, 0), "t_snd");
			sent += n;
		}
		while (got < sent && (sent == SIZE || sent - got > 65536)) {
			must(n = t_rcv(fd, in + got, SIZE - got, &flags), "t_rcv");
			got += n;
		}
	}
	if (memcmp(in, out, SIZE) != 0) {
		fprintf(stderr, "not the same bytes\n");
		return 1;
	}
	must(t_snd(fd, "!", 1, T_EXPEDITED), "t_snd");
	must(t_sndrel(fd), "t_sndrel");
	while ((n = t_rcv(fd, in, SIZE, &flags)) > 0)
		;
	if (t_errno != TLOOK || t_look(fd) != T_ORDREL) {
		t_error("t_rcv");
		return 1;
	}
	must(t_rcvrel(fd), "t_rcvrel");
	must(t_unbind(fd), "t_unbind");
	must(t_close(fd), "t_close");
	printf("released\n");
	return 0;
}

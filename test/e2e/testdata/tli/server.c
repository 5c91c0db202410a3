/* A server by the transport-level interface, which waits in its calls: it sends
 * back what comes, in turn for COUNT callers. server ADDR PORT COUNT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "tli.h"

static void must(int result, const char *what)
{
	if (result < 0) {
		t_error(what);
		exit(1);
	}
}

static void serve(int fd)
{
	char buf[4096];
	int n, flags, done;

	for (;;) {
		n = t_rcv(fd, buf, sizeof buf, &flags);
		if (n < 0)
			break;
		if (flags & T_EXPEDITED) {
			printf("expedited %.*s\n", n, buf);
			continue;
		}
		for (done = 0; done < n;) {
			int sent = t_snd(fd, buf + done, n - done, 0);

			must(sent, "t_snd");
			done += sent;
		}
	}
	if (t_errno != TLOOK || t_look(fd) != T_ORDREL) {
		t_error("t_rcv");
		exit(1);
	}
	must(t_rcvrel(fd), "t_rcvrel");
	must(t_sndrel(fd), "t_sndrel");
	if (t_getstate(fd) != T_IDLE) {
		fprintf(stderr, "state %d after the release\n", t_getstate(fd));
		exit(1);
	}
	must(t_close(fd), "t_close");
}

int main(int argc, char **argv)
{
	struct t_bind req = {0};
	union address at;
	struct t_call *call;
	struct t_info info;
	int fd, i;

	if (argc != 4)
		return 2;
	at = address(argv[1], atoi(argv[2]));
	must(fd = t_open(device, O_RDWR, &info), "t_open");
	if (info.servtype != T_COTS_ORD || info.addr != (int)addrlen)
		return 3;
	req.addr.buf = &at;
	req.addr.len = addrlen;
	req.qlen = 5;
	must(t_bind(fd, &req, NULL), "t_bind");
	call = t_alloc(fd, T_CALL, T_ADDR);
	printf("ready\n");
	fflush(stdout);
	for (i = 0; i < atoi(argv[3]); i++) {
		const union address *peer;
		char text[INET6_ADDRSTRLEN];
		int conn;

		must(t_listen(fd, call), "t_listen");
		must(conn = t_open(device, O_RDWR, NULL), "t_open");
		must(t_accept(fd, conn, call), "t_accept");
		peer = (const union address *)call->addr.buf;
		inet_ntop(peer->any.sa_family, peer->any.sa_family == AF_INET ? (const void *)&peer->v4.sin_addr : (const void *)&peer->v6.sin6_addr, text, sizeof text);
		printf("caller %s\n", text);
		fflush(stdout);
		serve(conn);
	}
	t_free(call, T_CALL);
	must(t_unbind(fd), "t_unbind");
	must(t_close(fd), "t_close");
	printf("done\n");
	return 0;
}

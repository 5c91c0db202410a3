/* Calls of the transport-level interface that do not wait, both ends in one
 * process: what each answers, and the state that it leads to. "calls ADDR", and
 * with "plain" behind it where the system has neither keep-alives nor TCP_MAXSEG. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "tli.h"

static int failures, checks;
static union address own;

#define IS(call, want) is(call, want, #call, __LINE__)
#define FAILS(call, want) fails(call, want, #call, __LINE__)

static void is(int got, int want, const char *what, int line)
{
	checks++;
	if (got != want) {
		printf("line %d: %s is %d, want %d (%s, %s)\n", line, what, got, want, t_strerror(t_errno), strerror(errno));
		failures++;
	}
}

static void fails(int got, int want, const char *what, int line)
{
	is(got, -1, what, line);
	if (got == -1)
		is(t_errno, want, what, line);
}

/* await looks until there is the event: what is on its way takes its time. */
static int await(int fd, int event)
{
	int now = 0, i;

	for (i = 0; i < 2000 && (now = t_look(fd)) != event; i++)
		poll(NULL, 0, 5);
	return now;
}

static int opened(void)
{
	int fd = t_open(device, O_RDWR | O_NONBLOCK, NULL);

	if (fd < 0) {
		t_error("t_open");
		exit(1);
	}
	return fd;
}

static union address bound(int fd, int qlen)
{
	union address got;
	struct t_bind req = {{0, addrlen, &own}, qlen}, ret = {{sizeof got, 0, &got}, 0};

	IS(t_bind(fd, &req, &ret), 0);
	IS(ret.qlen, qlen);
	IS(t_getstate(fd), T_IDLE);
	return got;
}

static int caller(union address *to)
{
	struct t_call call = {{0, addrlen, to}, {0}, {0}, 0};
	int fd = opened();

	bound(fd, 0);
	FAILS(t_connect(fd, &call, NULL), TNODATA);
	IS(t_getstate(fd), T_OUTCON);
	return fd;
}

static void through(int fd)
{
	IS(await(fd, T_CONNECT), T_CONNECT);
	IS(t_rcvconnect(fd, NULL), 0);
	IS(t_getstate(fd), T_DATAXFER);
}

static int reason(int fd)
{
	struct t_discon d = {0};

	IS(await(fd, T_DISCONNECT), T_DISCONNECT);
	IS(t_rcvdis(fd, &d), 0);
	return d.reason;
}

/* hungup is an attempt to connect that has failed and whose error the program has
 * taken from the socket. A t_rcvconnect that waits is not to wait for another. */
static void hungup(union address *to, int waits)
{
	int fd = t_open(device, O_RDWR | (waits ? 0 : O_NONBLOCK), NULL), err = 0;
	struct t_call call = {{0, addrlen, to}, {0}, {0}, 0};
	struct pollfd p = {fd, POLLOUT, 0};
	socklen_t len = sizeof err;

	bound(fd, 0);
	fcntl(fd, F_SETFL, O_NONBLOCK); /* which the library does not know */
	FAILS(t_connect(fd, &call, NULL), TNODATA);
	IS(t_getstate(fd), T_OUTCON);
	IS(poll(&p, 1, -1), 1);
	IS(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	IS(err, ECONNREFUSED);
	FAILS(t_rcvconnect(fd, NULL), TLOOK);
	IS(reason(fd), ECONNRESET);
	IS(t_getstate(fd), T_IDLE);
	IS(t_close(fd), 0);
}

static void options(int plain)
{
	struct {
		struct t_opthdr h;
		int value[2];
	} in = {{sizeof in.h + 4, INET_TCP, T_TCP_NODELAY, 0}, {1, 0}}, out;
	struct t_optmgmt req = {{0, sizeof in.h + 4, &in}, T_NEGOTIATE}, ret = {{sizeof out, 0, &out}, 0};
	int fd = opened();

	IS(t_optmgmt(fd, &req, &ret), 0);
	IS(ret.flags, T_SUCCESS);
	IS(out.value[0], 1);
	req.flags = T_DEFAULT;
	IS(t_optmgmt(fd, &req, &ret), 0);
	IS(out.value[0], 0);
	req.flags = T_CURRENT;
	IS(t_optmgmt(fd, &req, &ret), 0);
	IS(out.value[0], 1);
	in.h = (struct t_opthdr){sizeof in.h + 4, INET_TCP, T_TCP_MAXSEG, 0};
	IS(t_optmgmt(fd, &req, &ret), 0);
	IS(ret.flags, plain ? T_NOTSUPPORT : T_SUCCESS);
	in.h = (struct t_opthdr){sizeof in.h + 4, INET_IP, T_IP_DONTROUTE, 0};
	req.flags = T_NEGOTIATE;
	IS(t_optmgmt(fd, &req, &ret), 0);
	IS(ret.flags, T_SUCCESS);
	IS(out.value[0], T_YES);
	in.value[0] = T_NO;
	IS(t_optmgmt(fd, &req, &ret), 0);
	IS(ret.flags, T_SUCCESS);
	IS(out.value[0], T_NO);
	in.h = (struct t_opthdr){sizeof in, XTI_GENERIC, XTI_LINGER, 0};
	in.value[0] = T_YES, in.value[1] = 7;
	req.opt.len = sizeof in;
	IS(t_optmgmt(fd, &req, &ret), 0);
	IS(ret.flags, T_SUCCESS);
	IS(out.value[0], T_YES);
	IS(out.value[1], 7);
	in.h = (struct t_opthdr){sizeof in, INET_TCP, T_TCP_KEEPALIVE, 0};
	in.value[0] = T_YES, in.value[1] = 5;
	IS(t_optmgmt(fd, &req, &ret), 0);
	IS(ret.flags, plain ? T_NOTSUPPORT : T_SUCCESS);
	if (!plain) {
		IS(out.value[0], T_YES);
		IS(out.value[1], 5);
		req.flags = T_CHECK; /* asks an endpoint with the options of this one */
		in.value[0] = T_NO;
		IS(t_optmgmt(fd, &req, &ret), 0);
		IS(ret.flags, T_SUCCESS);
		req.flags = T_CURRENT;
		IS(t_optmgmt(fd, &req, &ret), 0);
		IS(out.value[0], T_YES);
		req.flags = T_NEGOTIATE;
	}
	in.value[1] = 0;
	IS(t_optmgmt(fd, &req, &ret), 0);
	IS(ret.flags, plain ? T_NOTSUPPORT : T_FAILURE);
	in.h.name = 77;
	IS(t_optmgmt(fd, &req, &ret), 0);
	IS(ret.flags, T_NOTSUPPORT);
	req.flags = 1;
	FAILS(t_optmgmt(fd, &req, &ret), TBADFLAG);
	req.flags = T_CURRENT;
	in.h.len = 1000;
	FAILS(t_optmgmt(fd, &req, &ret), TBADOPT);
	IS(t_close(fd), 0);
	FAILS(t_optmgmt(fd, &req, &ret), TBADF);
}

int main(int argc, char **argv)
{
	union address at, peer;
	struct t_call call = {{sizeof peer, 0, &peer}, {0}, {0}, 0}, second = call;
	struct t_bind who = {{sizeof peer, 0, &peer}, 0};
	int l, a, b, c, d, flags;
	char buf[100];

	if (argc != 2 && argc != 3)
		return 2;
	own = address(argv[1], 0);
	FAILS(t_open("/dev/udp", O_RDWR, NULL), TBADNAME);
	FAILS(t_open(device, O_RDONLY, NULL), TBADFLAG);
	FAILS(t_getstate(-1), TBADF);
	FAILS(t_close(0), TBADF);
	l = opened();
	IS(t_getstate(l), T_UNBND);
	FAILS(t_unbind(l), TOUTSTATE);
	FAILS(t_listen(l, &call), TOUTSTATE);
	at = bound(l, 2);
	FAILS(t_listen(l, &call), TNODATA);
	FAILS(t_snd(l, "x", 1, 0), TOUTSTATE);
	FAILS(t_rcvdis(l, NULL), TOUTSTATE);

	/* A connection, and what it carries. */
	a = caller(&at);
	IS(await(l, T_LISTEN), T_LISTEN);
	FAILS(t_unbind(l), TLOOK);
	IS(t_listen(l, &call), 0);
	IS(t_getstate(l), T_INCON);
	through(a);
	b = opened();
	call.sequence++;
	FAILS(t_accept(l, b, &call), TBADSEQ);
	call.sequence--;
	IS(t_accept(l, b, &call), 0);
	IS(t_getstate(b), T_DATAXFER);
	IS(t_getstate(l), T_IDLE);
	IS(t_getprotaddr(b, NULL, &who), 0);
	IS(who.addr.len, addrlen);
	FAILS(t_rcv(b, buf, sizeof buf, &flags), TNODATA);
	FAILS(t_rcvrel(b), TNOREL);
	FAILS(t_rcvdis(b, NULL), TNODIS);
	FAILS(t_snd(a, "x", 1, 4), TBADFLAG);
	FAILS(t_snd(a, "x", 0, 0), TBADDATA);
	IS(t_snd(a, "before", 6, 0), 6);
	IS(await(b, T_DATA), T_DATA);
	IS(t_rcv(b, buf, sizeof buf, &flags), 6);
	IS(flags, 0);
	IS(t_snd(a, "!", 1, T_EXPEDITED), 1);
	IS(await(b, T_EXDATA), T_EXDATA);
	IS(t_rcv(b, buf, sizeof buf, &flags), 1);
	IS(flags, T_EXPEDITED);
	IS(buf[0], '!');

	/* The orderly release, one side after the other. */
	IS(t_sndrel(a), 0);
	IS(t_getstate(a), T_OUTREL);
	FAILS(t_snd(a, "x", 1, 0), TOUTSTATE);
	IS(await(b, T_ORDREL), T_ORDREL);
	FAILS(t_rcv(b, buf, sizeof buf, &flags), TLOOK);
	FAILS(t_snd(b, "x", 1, 0), TLOOK);
	IS(t_rcvrel(b), 0);
	IS(t_getstate(b), T_INREL);
	IS(t_snd(b, "last", 4, 0), 4);
	IS(t_sndrel(b), 0);
	IS(t_getstate(b), T_IDLE);
	IS(await(a, T_DATA), T_DATA);
	IS(t_rcv(a, buf, sizeof buf, &flags), 4);
	IS(await(a, T_ORDREL), T_ORDREL);
	IS(t_rcvrel(a), 0);
	IS(t_getstate(a), T_IDLE);
	IS(t_unbind(a), 0);
	IS(t_close(a), 0);
	IS(t_close(b), 0);

	/* Two callers: one is refused, one goes away. */
	a = caller(&at);
	b = caller(&at);
	through(a);
	through(b);
	IS(await(l, T_LISTEN), T_LISTEN);
	IS(t_listen(l, &call), 0);
	IS(await(l, T_LISTEN), T_LISTEN);
	c = opened();
	FAILS(t_accept(l, c, &call), TLOOK);
	IS(t_listen(l, &second), 0);
	FAILS(t_listen(l, &second), TQFULL);
	FAILS(t_accept(l, l, &call), TINDOUT);
	IS(t_snddis(l, &call), 0);
	IS(t_getstate(l), T_INCON);
	IS(reason(a), ECONNRESET);
	IS(t_getstate(a), T_IDLE);
	IS(t_snddis(b, NULL), 0);
	IS(t_getstate(b), T_IDLE);
	IS(reason(l), ECONNRESET);
	IS(t_getstate(l), T_IDLE);
	IS(t_close(a), 0);
	IS(t_close(b), 0);

	/* Onto the endpoint that listens, and a reset. */
	a = caller(&at);
	IS(await(l, T_LISTEN), T_LISTEN);
	IS(t_listen(l, &call), 0);
	through(a);
	d = opened();
	bound(d, 1);
	FAILS(t_accept(l, d, &call), TRESQLEN);
	IS(t_accept(l, l, &call), 0);
	IS(t_getstate(l), T_DATAXFER);
	IS(t_snddis(a, NULL), 0);
	IS(reason(l), ECONNRESET);
	IS(t_getstate(l), T_IDLE);
	IS(t_close(a), 0);
	a = caller(&at); /* it listens again */
	IS(await(l, T_LISTEN), T_LISTEN);
	IS(t_close(a), 0);
	IS(t_close(l), 0);

	/* Nobody listens there any more. */
	a = caller(&at);
	FAILS(t_rcvconnect(a, NULL), await(a, T_DISCONNECT) == T_DISCONNECT ? TLOOK : 0);
	IS(reason(a), ECONNREFUSED);
	IS(t_getstate(a), T_IDLE);
	hungup(&at, 0);
	hungup(&at, 1);
	IS(t_close(a), 0);
	IS(t_close(c), 0);
	IS(t_close(d), 0);
	options(argc == 3);
	printf("%d checks, %d failures\n", checks, failures);
	return failures != 0;
}

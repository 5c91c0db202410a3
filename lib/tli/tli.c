/*
 * The transport-level interface over sockets; see tli.h.
 *
 * An endpoint is a socket of the same number with a record beside it. What
 * differs from a transport provider of System V:
 *
 * - TCP answers a caller before t_listen tells of it. A connection indication
 *   that t_snddis refuses was connected and is reset.
 * - When a connection ends, the endpoint is bound again. Where that fails, as an
 *   endpoint has the address that listens on it, t_connect fails with TSYSERR.
 * - No TSDUs: T_MORE says nothing to the peer. Expedited data is TCP's urgent
 *   data, of which the last byte arrives as such.
 * - No user data and no options with connections.
 * - An endpoint belongs to one process and is used by one thread at a time.
 */
#define _GNU_SOURCE
#include "tli.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"
#include "state.h"

#define MAXFDS 65536
#define MAXQLEN 128 /* indications that may be outstanding */

struct indication {
	int fd, sequence, lost; /* lost: the errno that its peer has gone with */
	struct sockaddr_storage peer;
	socklen_t len;
};

struct endpoint {
	int state, family, nonblock;
	unsigned int qlen;
	int bound, unbound; /* has an address; the socket does not have it */
	struct sockaddr_storage local;
	socklen_t locallen;
	int discon; /* the errno that the connection has gone with */
	int stuck;  /* t_snd met TFLOW */
	int nextseq, ocnt;
	struct indication calls[MAXQLEN];
};

static struct endpoint *endpoints[MAXFDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread int errno_of_thread;

int *t_errno_location(void)
{
	return &errno_of_thread;
}

static int fail(int err)
{
	t_errno = err;
	return -1;
}

static struct endpoint *find(int fd)
{
	struct endpoint *e = NULL;

	if (fd >= 0 && fd < MAXFDS) {
		pthread_mutex_lock(&lock);
		e = endpoints[fd];
		pthread_mutex_unlock(&lock);
	}
	if (e == NULL)
		t_errno = TBADF;
	return e;
}

static int may(const struct endpoint *e, enum event ev)
{
	return next_state[ev][e->state] >= 0;
}

static void moved(struct endpoint *e, enum event ev)
{
	e->state = next_state[ev][e->state];
}

static socklen_t addrlen(const struct endpoint *e)
{
	return e->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* give copies an address out. */
static int give(struct netbuf *to, const void *from, socklen_t len)
{
	if (to->maxlen == 0)
		return 0;
	if (to->maxlen < len)
		return fail(TBUFOVFLW);
	memcpy(to->buf, from, len);
	to->len = len;
	return 0;
}

/* fresh is another socket for the endpoint, without an address. */
static int fresh(const struct endpoint *e)
{
	int on = 1, fd = socket(e->family, SOCK_STREAM | SOCK_CLOEXEC | (e->nonblock ? SOCK_NONBLOCK : 0), 0);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return fd;
}

static const struct {
	int level, name;
	socklen_t len;
} kept[] = {
	{SOL_SOCKET, SO_LINGER, sizeof(struct linger)}, {SOL_SOCKET, SO_KEEPALIVE, sizeof(int)}, {SOL_SOCKET, SO_DONTROUTE, sizeof(int)},
	{SOL_SOCKET, SO_RCVLOWAT, sizeof(int)}, {IPPROTO_TCP, TCP_NODELAY, sizeof(int)}, {IPPROTO_TCP, TCP_KEEPIDLE, sizeof(int)},
	{IPPROTO_IP, IP_TOS, sizeof(int)}, {IPPROTO_IP, IP_TTL, sizeof(int)},
};

/* rebind gives an endpoint that is idle its address and its queue. */
static int rebind(int fd, struct endpoint *e)
{
	if (bind(fd, (struct sockaddr *)&e->local, e->locallen) != 0 || (e->qlen > 0 && listen(fd, e->qlen) != 0))
		return -1;
	e->unbound = 0;
	return 0;
}

/* renew puts a new socket with the same options behind the endpoint's number. The
 * old one ends as its options say. */
static int renew(int fd, struct endpoint *e)
{
	int s = fresh(e), flags = fcntl(fd, F_GETFD);
	unsigned int i;

	if (s < 0)
		return -1;
	for (i = 0; i < sizeof kept / sizeof kept[0]; i++) {
		char value[sizeof(struct linger)];
		socklen_t len = kept[i].len;

		if (getsockopt(fd, kept[i].level, kept[i].name, value, &len) == 0)
			setsockopt(s, kept[i].level, kept[i].name, value, len);
	}
	if (dup3(s, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0) {
		close(s);
		return -1;
	}
	close(s);
	e->discon = e->stuck = 0;
	return 0;
}

/* idle is the return to T_IDLE from a connection. */
static void idle(int fd, struct endpoint *e)
{
	e->unbound = 1;
	if (renew(fd, e) == 0)
		rebind(fd, e);
}

/* cut resets a connection that is closed next. */
static void cut(int fd)
{
	struct linger now = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static int pending(int fd)
{
	int err = 0;
	socklen_t len = sizeof err;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 ? err : errno;
}

static int readiness(int fd, short events)
{
	struct pollfd p = {fd, events, 0};

	return poll(&p, 1, 0) > 0 ? p.revents : 0;
}

/* incoming is what there is to be received: T_DATA, T_EXDATA, T_ORDREL or 0; when
 * the connection is gone, *why is the errno. */
static int incoming(int fd, int *why)
{
	char c;
	ssize_t n;

	if (readiness(fd, POLLPRI) & POLLPRI && sockatmark(fd) == 1)
		return T_EXDATA;
	n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0)
		return T_DATA;
	if (n == 0)
		return T_ORDREL;
	if (errno != EAGAIN && errno != EINTR)
		*why = errno;
	return 0;
}

/* events are all that there are now, but for T_GODATA. */
static int events(int fd, struct endpoint *e)
{
	int now = 0, i, ready;

	switch (e->state) {
	case T_IDLE:
	case T_INCON:
		if (e->qlen > 0 && !e->unbound && readiness(fd, POLLIN) & POLLIN)
			now |= T_LISTEN;
		for (i = 0; i < e->ocnt; i++) {
			if (e->calls[i].lost == 0)
				incoming(e->calls[i].fd, &e->calls[i].lost);
			if (e->calls[i].lost != 0)
				now |= T_DISCONNECT;
		}
		break;
	case T_OUTCON:
		if (e->discon == 0 && (ready = readiness(fd, POLLOUT)) != 0) {
			e->discon = pending(fd);
			if (e->discon == 0 && ready & (POLLHUP | POLLNVAL))
				e->discon = ECONNRESET; /* it has ended, and somebody has taken the error */
			if (e->discon == 0 && ready & POLLOUT)
				now |= T_CONNECT;
		}
		break;
	case T_DATAXFER:
	case T_OUTREL:
		if (e->discon == 0)
			now |= incoming(fd, &e->discon);
		break;
	case T_INREL:
		if (e->discon == 0 && readiness(fd, POLLOUT) & POLLERR)
			e->discon = pending(fd);
		break;
	}
	if (e->discon != 0)
		now |= T_DISCONNECT;
	return now;
}

/* settle waits until there is an event, unless the endpoint does not wait. A
 * socket that has ended and brings none will not bring one. */
static int settle(int fd, struct endpoint *e, short want)
{
	for (;;) {
		int now = events(fd, e);
		struct pollfd p = {fd, want, 0};

		if (now != 0 || e->nonblock)
			return now;
		if (poll(&p, 1, -1) < 0)
			return fail(TSYSERR);
		if (p.revents & (POLLHUP | POLLNVAL) && (now = events(fd, e)) == 0) {
			errno = ENOTCONN;
			return fail(TSYSERR);
		}
	}
}

int t_look(int fd)
{
	static const int order[] = {T_DISCONNECT, T_LISTEN, T_CONNECT, T_EXDATA, T_DATA, T_ORDREL};
	struct endpoint *e = find(fd);
	unsigned int i;
	int now;

	if (e == NULL)
		return -1;
	now = events(fd, e);
	for (i = 0; i < sizeof order / sizeof order[0]; i++)
		if (now & order[i])
			return order[i];
	if (e->stuck && readiness(fd, POLLOUT) & POLLOUT) {
		e->stuck = 0;
		return T_GODATA;
	}
	return 0;
}

static void describe(const struct endpoint *e, struct t_info *info)
{
	if (info == NULL)
		return;
	memset(info, 0, sizeof *info);
	info->addr = addrlen(e);
	info->options = 512;
	info->etsdu = T_INFINITE;
	info->connect = info->discon = T_INVALID;
	info->servtype = T_COTS_ORD;
}

int t_open(const char *name, int flags, struct t_info *info)
{
	struct endpoint *e;
	int fd, family = 0;

	if (name != NULL && strcmp(name, "/dev/tcp") == 0)
		family = AF_INET;
	else if (name != NULL && strcmp(name, "/dev/tcp6") == 0)
		family = AF_INET6;
	else
		return fail(TBADNAME);
	if ((flags & ~O_NONBLOCK) != O_RDWR)
		return fail(TBADFLAG);
	if ((e = calloc(1, sizeof *e)) == NULL)
		return fail(TSYSERR);
	e->family = family;
	e->nonblock = (flags & O_NONBLOCK) != 0;
	if ((fd = fresh(e)) < 0 || fd >= MAXFDS) {
		if (fd >= 0) {
			close(fd);
			errno = EMFILE;
		}
		free(e);
		return fail(TSYSERR);
	}
	moved(e, EV_OPENED);
	pthread_mutex_lock(&lock);
	free(endpoints[fd]); /* of one that was closed by close(2) */
	endpoints[fd] = e;
	pthread_mutex_unlock(&lock);
	describe(e, info);
	return fd;
}

int t_close(int fd)
{
	struct endpoint *e = find(fd);
	int i;

	if (e == NULL)
		return -1;
	for (i = 0; i < e->ocnt; i++) {
		cut(e->calls[i].fd);
		close(e->calls[i].fd);
	}
	pthread_mutex_lock(&lock);
	endpoints[fd] = NULL;
	pthread_mutex_unlock(&lock);
	free(e);
	return close(fd) == 0 ? 0 : fail(TSYSERR);
}

int t_bind(int fd, const struct t_bind *req, struct t_bind *ret)
{
	struct endpoint *e = find(fd);
	struct sockaddr_storage at;
	int any = 1, err;

	if (e == NULL)
		return -1;
	if (!may(e, EV_BIND))
		return fail(TOUTSTATE);
	memset(&at, 0, sizeof at);
	at.ss_family = e->family;
	if (req != NULL && req->addr.len > 0) {
		if (req->addr.len != addrlen(e) || ((const struct sockaddr *)req->addr.buf)->sa_family != e->family)
			return fail(TBADADDR);
		memcpy(&at, req->addr.buf, req->addr.len);
		any = ((struct sockaddr_in *)&at)->sin_port == 0; /* at the same place in sockaddr_in6 */
	}
	if (bind(fd, (struct sockaddr *)&at, addrlen(e)) != 0) {
		switch (errno) {
		case EACCES:
			return fail(TACCES);
		case EADDRINUSE:
			return fail(any ? TNOADDR : TADDRBUSY);
		case EADDRNOTAVAIL:
			return fail(TNOADDR);
		}
		return fail(TSYSERR);
	}
	e->locallen = sizeof e->local;
	getsockname(fd, (struct sockaddr *)&e->local, &e->locallen);
	e->qlen = req == NULL ? 0 : req->qlen;
	if (e->qlen > MAXQLEN)
		e->qlen = MAXQLEN;
	if (e->qlen > 0 && listen(fd, e->qlen) != 0) {
		err = errno == EADDRINUSE ? TADDRBUSY : TSYSERR;
		e->qlen = 0;
		renew(fd, e);
		return fail(err);
	}
	e->bound = 1;
	e->unbound = 0;
	moved(e, EV_BIND);
	if (ret != NULL) {
		ret->qlen = e->qlen;
		return give(&ret->addr, &e->local, e->locallen);
	}
	return 0;
}

int t_unbind(int fd)
{
	struct endpoint *e = find(fd);

	if (e == NULL)
		return -1;
	if (!may(e, EV_UNBIND))
		return fail(TOUTSTATE);
	if (events(fd, e) & (T_LISTEN | T_DATA))
		return fail(TLOOK);
	if (renew(fd, e) != 0)
		return fail(TSYSERR);
	e->qlen = e->bound = e->unbound = 0;
	moved(e, EV_UNBIND);
	return 0;
}

/* connected tells of a connection that stands. */
static int connected(int fd, struct t_call *call)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer;

	if (call == NULL || getpeername(fd, (struct sockaddr *)&peer, &len) != 0)
		return 0;
	call->opt.len = call->udata.len = 0;
	return give(&call->addr, &peer, len);
}

int t_connect(int fd, const struct t_call *snd, struct t_call *rcv)
{
	struct endpoint *e = find(fd);

	if (e == NULL)
		return -1;
	if (!may(e, EV_CONNECT2))
		return fail(TOUTSTATE);
	if (events(fd, e) & (T_LISTEN | T_DISCONNECT))
		return fail(TLOOK);
	if (snd == NULL || snd->addr.len != addrlen(e) || ((const struct sockaddr *)snd->addr.buf)->sa_family != e->family)
		return fail(TBADADDR);
	if (snd->udata.len > 0)
		return fail(TBADDATA);
	if (snd->opt.len > 0)
		return fail(TBADOPT);
	if (e->qlen > 0 || e->unbound) { /* a socket that listens does not connect */
		unsigned int qlen = e->qlen;
		int bad;

		if (renew(fd, e) != 0)
			return fail(TSYSERR);
		e->qlen = 0;
		bad = rebind(fd, e);
		e->qlen = qlen;
		if (bad) {
			e->unbound = 1;
			return fail(TSYSERR);
		}
	}
	if (connect(fd, snd->addr.buf, snd->addr.len) == 0) {
		moved(e, EV_CONNECT1);
		return connected(fd, rcv);
	}
	switch (errno) {
	case EINPROGRESS:
		moved(e, EV_CONNECT2);
		return fail(TNODATA);
	case EADDRINUSE:
	case EADDRNOTAVAIL:
		return fail(TADDRBUSY);
	case EINTR:
		moved(e, EV_CONNECT2);
		return fail(TSYSERR);
	}
	e->discon = errno;
	moved(e, EV_CONNECT2);
	return fail(TLOOK);
}

int t_rcvconnect(int fd, struct t_call *call)
{
	struct endpoint *e = find(fd);
	int now;

	if (e == NULL)
		return -1;
	if (!may(e, EV_RCVCONNECT))
		return fail(TOUTSTATE);
	if ((now = settle(fd, e, POLLOUT)) < 0)
		return -1;
	if (now & T_DISCONNECT)
		return fail(TLOOK);
	if (!(now & T_CONNECT))
		return fail(TNODATA);
	moved(e, EV_RCVCONNECT);
	return connected(fd, call);
}

int t_listen(int fd, struct t_call *call)
{
	struct endpoint *e = find(fd);
	struct indication *c;
	int now;

	if (e == NULL)
		return -1;
	if (e->state == T_IDLE && e->qlen == 0)
		return fail(TBADQLEN);
	if (!may(e, EV_LISTEN))
		return fail(TOUTSTATE);
	if (e->ocnt >= (int)e->qlen)
		return fail(TQFULL);
	if (e->unbound && rebind(fd, e) != 0)
		return fail(TSYSERR);
	if ((now = settle(fd, e, POLLIN)) < 0)
		return -1;
	if (now & T_DISCONNECT)
		return fail(TLOOK);
	c = &e->calls[e->ocnt];
	memset(c, 0, sizeof *c);
	c->len = sizeof c->peer;
	c->fd = accept4(fd, (struct sockaddr *)&c->peer, &c->len, SOCK_CLOEXEC | (e->nonblock ? SOCK_NONBLOCK : 0));
	if (c->fd < 0)
		return fail(errno == EAGAIN ? TNODATA : TSYSERR);
	if (++e->nextseq <= 0)
		e->nextseq = 1;
	c->sequence = e->nextseq;
	e->ocnt++;
	moved(e, EV_LISTEN);
	if (call == NULL)
		return 0;
	call->sequence = c->sequence;
	call->opt.len = call->udata.len = 0;
	return give(&call->addr, &c->peer, c->len);
}

static struct indication *call_of(struct endpoint *e, int sequence)
{
	int i;

	for (i = 0; i < e->ocnt; i++)
		if (e->calls[i].sequence == sequence)
			return &e->calls[i];
	return NULL;
}

static void forget(struct endpoint *e, struct indication *c)
{
	*c = e->calls[--e->ocnt];
}

int t_accept(int fd, int resfd, const struct t_call *call)
{
	struct endpoint *e = find(fd), *r = find(resfd);
	struct indication *c;
	enum event ev;
	int conn, flags;

	if (e == NULL || r == NULL)
		return -1;
	if (!may(e, EV_ACCEPT2))
		return fail(TOUTSTATE);
	if (r->family != e->family)
		return fail(TPROVMISMATCH);
	if (r == e && e->ocnt > 1)
		return fail(TINDOUT);
	if (r != e && !may(r, EV_PASSCONN))
		return fail(TOUTSTATE);
	if (r != e && r->qlen > 0)
		return fail(TRESQLEN);
	if (events(fd, e) & (T_LISTEN | T_DISCONNECT))
		return fail(TLOOK);
	if (call == NULL || (c = call_of(e, call->sequence)) == NULL)
		return fail(TBADSEQ);
	ev = r == e ? EV_ACCEPT1 : e->ocnt == 1 ? EV_ACCEPT2 : EV_ACCEPT3;
	conn = c->fd;
	flags = fcntl(resfd, F_GETFD);
	if (dup3(conn, resfd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		return fail(TSYSERR);
	close(conn);
	fcntl(resfd, F_SETFL, r->nonblock ? O_NONBLOCK : 0);
	forget(e, c);
	r->discon = r->stuck = 0;
	if (r != e && !r->bound) {
		r->locallen = sizeof r->local;
		getsockname(resfd, (struct sockaddr *)&r->local, &r->locallen);
		r->bound = 1;
	}
	moved(e, ev);
	if (r != e)
		moved(r, EV_PASSCONN);
	return 0;
}

int t_snd(int fd, const void *buf, unsigned int len, int flags)
{
	struct endpoint *e = find(fd);
	ssize_t n;

	if (e == NULL)
		return -1;
	if (flags & ~(T_MORE | T_EXPEDITED))
		return fail(TBADFLAG);
	if (!may(e, EV_SND))
		return fail(TOUTSTATE);
	if (events(fd, e) & (T_DISCONNECT | T_ORDREL))
		return fail(TLOOK);
	if (len == 0)
		return fail(TBADDATA);
	n = send(fd, buf, len, MSG_NOSIGNAL | (flags & T_EXPEDITED ? MSG_OOB : 0));
	if (n < 0) {
		switch (errno) {
		case EAGAIN:
			e->stuck = 1;
			return fail(TFLOW);
		case EPIPE:
		case ECONNRESET:
		case ETIMEDOUT:
			e->discon = errno == EPIPE ? ECONNRESET : errno;
			return fail(TLOOK);
		}
		return fail(TSYSERR);
	}
	e->stuck = n < len;
	moved(e, EV_SND);
	return n;
}

int t_rcv(int fd, void *buf, unsigned int len, int *flags)
{
	struct endpoint *e = find(fd);
	ssize_t n;
	int now;

	if (e == NULL)
		return -1;
	if (!may(e, EV_RCV))
		return fail(TOUTSTATE);
	if (len == 0)
		return fail(TBADDATA);
	if ((now = settle(fd, e, POLLIN | POLLPRI)) < 0)
		return -1;
	if (now & (T_DISCONNECT | T_ORDREL))
		return fail(TLOOK);
	if (now == 0)
		return fail(TNODATA);
	n = recv(fd, buf, now & T_EXDATA ? 1 : len, MSG_DONTWAIT | (now & T_EXDATA ? MSG_OOB : 0));
	if (n < 0)
		return fail(errno == EAGAIN ? TNODATA : TSYSERR);
	if (flags != NULL)
		*flags = now & T_EXDATA ? T_EXPEDITED : 0;
	moved(e, EV_RCV);
	return n;
}

int t_sndrel(int fd)
{
	struct endpoint *e = find(fd);

	if (e == NULL)
		return -1;
	if (!may(e, EV_SNDREL))
		return fail(TOUTSTATE);
	if (events(fd, e) & T_DISCONNECT)
		return fail(TLOOK);
	if (shutdown(fd, SHUT_WR) != 0)
		return fail(TSYSERR);
	moved(e, EV_SNDREL);
	if (e->state == T_IDLE)
		idle(fd, e);
	return 0;
}

int t_rcvrel(int fd)
{
	struct endpoint *e = find(fd);
	int now;

	if (e == NULL)
		return -1;
	if (!may(e, EV_RCVREL))
		return fail(TOUTSTATE);
	now = events(fd, e);
	if (now & T_DISCONNECT)
		return fail(TLOOK);
	if (!(now & T_ORDREL))
		return fail(TNOREL);
	moved(e, EV_RCVREL);
	if (e->state == T_IDLE)
		idle(fd, e);
	return 0;
}

int t_snddis(int fd, const struct t_call *call)
{
	struct endpoint *e = find(fd);
	enum event ev;

	if (e == NULL)
		return -1;
	ev = e->ocnt > 1 ? EV_SNDDIS2 : EV_SNDDIS1;
	if (!may(e, ev))
		return fail(TOUTSTATE);
	if (call != NULL && call->udata.len > 0)
		return fail(TBADDATA);
	if (events(fd, e) & T_DISCONNECT)
		return fail(TLOOK);
	if (e->state == T_INCON) {
		struct indication *c = call == NULL ? NULL : call_of(e, call->sequence);

		if (c == NULL)
			return fail(TBADSEQ);
		cut(c->fd);
		close(c->fd);
		forget(e, c);
		moved(e, ev);
		return 0;
	}
	{
		int old = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* the new socket gets the options of before the cut */

		if (old < 0)
			return fail(TSYSERR);
		moved(e, ev);
		idle(fd, e);
		cut(old);
		close(old);
	}
	return 0;
}

int t_rcvdis(int fd, struct t_discon *discon)
{
	struct endpoint *e = find(fd);
	int i, reason, sequence = 0;
	enum event ev;

	if (e == NULL)
		return -1;
	ev = e->ocnt == 0 ? EV_RCVDIS1 : e->ocnt == 1 ? EV_RCVDIS2 : EV_RCVDIS3;
	if (!may(e, ev))
		return fail(TOUTSTATE);
	if (!(events(fd, e) & T_DISCONNECT))
		return fail(TNODIS);
	reason = e->discon;
	for (i = 0; i < e->ocnt; i++) {
		if (e->calls[i].lost == 0)
			continue;
		reason = e->calls[i].lost;
		sequence = e->calls[i].sequence;
		close(e->calls[i].fd);
		forget(e, &e->calls[i]);
		break;
	}
	moved(e, ev);
	if (sequence == 0)
		idle(fd, e);
	if (discon != NULL) {
		discon->reason = reason;
		discon->sequence = sequence;
		discon->udata.len = 0;
	}
	return 0;
}

int tli_manageable(int fd, int *family)
{
	struct endpoint *e = find(fd);

	if (e == NULL)
		return -1;
	if (!may(e, EV_OPTMGMT))
		return fail(TOUTSTATE);
	*family = e->family;
	return 0;
}

int t_getinfo(int fd, struct t_info *info)
{
	struct endpoint *e = find(fd);

	if (e == NULL)
		return -1;
	describe(e, info);
	return 0;
}

int t_getstate(int fd)
{
	struct endpoint *e = find(fd);

	return e == NULL ? -1 : e->state;
}

int t_sync(int fd)
{
	return t_getstate(fd);
}

int t_getprotaddr(int fd, struct t_bind *bound, struct t_bind *peer)
{
	struct endpoint *e = find(fd);
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	if (e == NULL)
		return -1;
	if (bound != NULL) {
		bound->addr.len = 0;
		if (e->bound && give(&bound->addr, &e->local, e->locallen) != 0)
			return -1;
	}
	if (peer != NULL) {
		peer->addr.len = 0;
		if (e->state >= T_DATAXFER && getpeername(fd, (struct sockaddr *)&a, &len) == 0)
			return give(&peer->addr, &a, len);
	}
	return 0;
}

/*
 * t_optmgmt: the options that the XTI specification has for TCP, on those of the
 * socket. The status of a call is the worst of its options'.
 */
#define _GNU_SOURCE
#include "tli.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

enum { BYTE = 1, WORD = 4, PAIR = 8 };

/* An option with flag has T_YES or T_NO in its first word. */
static const struct row {
	unsigned int level, name;
	int socklevel, sockname, size, readonly, flag;
} rows[] = {
	{XTI_GENERIC, XTI_DEBUG, SOL_SOCKET, SO_DEBUG, WORD, 0, 1},
	{XTI_GENERIC, XTI_LINGER, SOL_SOCKET, SO_LINGER, PAIR, 0, 1},
	{XTI_GENERIC, XTI_RCVBUF, SOL_SOCKET, SO_RCVBUF, WORD, 0, 0},
	{XTI_GENERIC, XTI_RCVLOWAT, SOL_SOCKET, SO_RCVLOWAT, WORD, 0, 0},
	{XTI_GENERIC, XTI_SNDBUF, SOL_SOCKET, SO_SNDBUF, WORD, 0, 0},
	{XTI_GENERIC, XTI_SNDLOWAT, SOL_SOCKET, SO_SNDLOWAT, WORD, 1, 0},
	{INET_TCP, T_TCP_NODELAY, IPPROTO_TCP, TCP_NODELAY, WORD, 0, 1},
	{INET_TCP, T_TCP_MAXSEG, IPPROTO_TCP, TCP_MAXSEG, WORD, 1, 0},
	{INET_TCP, T_TCP_KEEPALIVE, 0, 0, PAIR, 0, 1},
	{INET_IP, T_IP_TOS, IPPROTO_IP, IP_TOS, BYTE, 0, 0},
	{INET_IP, T_IP_TTL, IPPROTO_IP, IP_TTL, BYTE, 0, 0},
	{INET_IP, T_IP_DONTROUTE, SOL_SOCKET, SO_DONTROUTE, WORD, 0, 1},
};

#define MAXMINUTES (32767 / 60)

static int keepalive(const struct row *r)
{
	return r->level == INET_TCP && r->name == T_TCP_KEEPALIVE;
}

static int raw(int fd, const struct row *r, void *value)
{
	struct t_kpalive *k = value;
	int seconds = 0;
	socklen_t len = sizeof(int), size = r->size;

	if (!keepalive(r))
		return getsockopt(fd, r->socklevel, r->sockname, value, &size);
	if (getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &k->kp_onoff, &len) != 0 ||
	    getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, &len) != 0)
		return -1;
	k->kp_timeout = (seconds + 59) / 60;
	return 0;
}

/* get reads an option. Systems show a flag that is set as 1 or as its bit. */
static int get(int fd, const struct row *r, void *value)
{
	int on;

	if (raw(fd, r, value) != 0)
		return -1;
	if (r->flag) {
		memcpy(&on, value, sizeof on);
		on = on ? T_YES : T_NO;
		memcpy(value, &on, sizeof on);
	}
	return 0;
}

static int set(int fd, const struct row *r, const void *value)
{
	struct t_kpalive k;
	int seconds;

	if (!keepalive(r))
		return setsockopt(fd, r->socklevel, r->sockname, value, r->size);
	memcpy(&k, value, sizeof k);
	if ((k.kp_onoff != T_YES && k.kp_onoff != T_NO) || k.kp_timeout < 1 || k.kp_timeout > MAXMINUTES) {
		errno = EINVAL;
		return -1;
	}
	seconds = 60 * k.kp_timeout;
	if (setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds) != 0)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &k.kp_onoff, sizeof k.kp_onoff);
}

/* negotiate sets an option and shows in value what it became. */
static unsigned int negotiate(int fd, const struct row *r, char *value, unsigned int len)
{
	char wanted[PAIR];

	memcpy(wanted, value, sizeof wanted);
	if (get(fd, r, value) != 0)
		return T_NOTSUPPORT; /* whatever is asked of it */
	if (r->readonly)
		return T_READONLY;
	if (len != (unsigned int)r->size)
		return T_FAILURE;
	if (set(fd, r, wanted) != 0)
		return errno == ENOPROTOOPT ? T_NOTSUPPORT : T_FAILURE;
	if (get(fd, r, value) != 0)
		return T_NOTSUPPORT;
	return memcmp(wanted, value, len) == 0 ? T_SUCCESS : T_PARTSUCCESS;
}

/* twin is a socket in no use, for T_DEFAULT and, with the options of fd, T_CHECK. */
static int twin(int fd, int family, int action)
{
	int s = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned int i;
	char value[PAIR];

	for (i = 0; s >= 0 && action == T_CHECK && i < sizeof rows / sizeof rows[0]; i++)
		if (!rows[i].readonly && get(fd, &rows[i], value) == 0)
			set(s, &rows[i], value);
	return s;
}

static unsigned int worse(unsigned int a, unsigned int b)
{
	static const unsigned int order[] = {T_NOTSUPPORT, T_READONLY, T_FAILURE, T_PARTSUCCESS, T_SUCCESS};
	unsigned int i;

	for (i = 0; i < sizeof order / sizeof order[0]; i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return 0;
}

#define ALIGNED(n) (((n) + 3u) & ~3u)

int t_optmgmt(int fd, const struct t_optmgmt *req, struct t_optmgmt *ret)
{
	unsigned int at, out = 0, status = 0, i;
	int family, on = fd;

	if (tli_manageable(fd, &family) != 0)
		return -1;
	if (req == NULL || (req->flags != T_NEGOTIATE && req->flags != T_CHECK && req->flags != T_DEFAULT && req->flags != T_CURRENT)) {
		t_errno = TBADFLAG;
		return -1;
	}
	if (req->flags == T_CHECK || req->flags == T_DEFAULT)
		on = twin(fd, family, req->flags);
	if (on < 0) {
		t_errno = TSYSERR;
		return -1;
	}
	t_errno = 0;
	for (at = 0; at < req->opt.len && t_errno == 0;) {
		const struct row *r = NULL;
		struct t_opthdr h;
		char value[PAIR];
		unsigned int len, size;

		if (req->opt.len - at < sizeof h) {
			t_errno = TBADOPT;
			break;
		}
		memcpy(&h, (const char *)req->opt.buf + at, sizeof h);
		if (h.len < sizeof h || h.len > req->opt.len - at) {
			t_errno = TBADOPT;
			break;
		}
		len = h.len - sizeof h;
		for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
			if (rows[i].level == h.level && rows[i].name == h.name)
				r = &rows[i];
		memset(value, 0, sizeof value);
		if (r == NULL) {
			h.status = T_NOTSUPPORT;
		} else if (req->flags == T_NEGOTIATE || req->flags == T_CHECK) {
			memcpy(value, (const char *)req->opt.buf + at + sizeof h, len < sizeof value ? len : sizeof value);
			h.status = negotiate(on, r, value, len);
		} else {
			h.status = get(on, r, value) == 0 ? T_SUCCESS : T_NOTSUPPORT;
		}
		status = worse(status, h.status);
		at += ALIGNED(h.len);
		size = r == NULL || h.status == T_NOTSUPPORT || h.status == T_FAILURE ? 0 : r->size;
		h.len = sizeof h + size;
		if (ret != NULL && ret->opt.maxlen > 0) {
			if (ret->opt.maxlen < out + ALIGNED(h.len)) {
				t_errno = TBUFOVFLW;
				break;
			}
			memcpy((char *)ret->opt.buf + out, &h, sizeof h);
			memcpy((char *)ret->opt.buf + out + sizeof h, value, size);
			out += ALIGNED(h.len);
		}
	}
	if (on != fd)
		close(on);
	if (t_errno != 0)
		return -1;
	if (ret != NULL) {
		ret->opt.len = out;
		ret->flags = status;
	}
	return 0;
}

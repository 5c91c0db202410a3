/* t_alloc, t_free, t_error and t_strerror. */
#define _GNU_SOURCE
#include "tli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int buffer(struct netbuf *b, int want, int size)
{
	if (!want || size <= 0)
		return 0;
	if ((b->buf = calloc(1, size)) == NULL)
		return -1;
	b->maxlen = size;
	return 0;
}

void *t_alloc(int fd, int type, int fields)
{
	struct t_info i;
	size_t size;
	int bad = 0;
	void *p;

	switch (type) {
	case T_BIND:
		size = sizeof(struct t_bind);
		break;
	case T_OPTMGMT:
		size = sizeof(struct t_optmgmt);
		break;
	case T_CALL:
		size = sizeof(struct t_call);
		break;
	case T_DIS:
		size = sizeof(struct t_discon);
		break;
	case T_INFO:
		size = sizeof(struct t_info);
		break;
	default:
		t_errno = TNOSTRUCTYPE;
		return NULL;
	}
	if (t_getinfo(fd, &i) != 0)
		return NULL;
	if ((p = calloc(1, size)) == NULL) {
		t_errno = TSYSERR;
		return NULL;
	}
	if (type == T_BIND)
		bad = buffer(&((struct t_bind *)p)->addr, fields & T_ADDR, i.addr);
	if (type == T_OPTMGMT)
		bad = buffer(&((struct t_optmgmt *)p)->opt, fields & T_OPT, i.options);
	if (type == T_CALL)
		bad = buffer(&((struct t_call *)p)->addr, fields & T_ADDR, i.addr) || buffer(&((struct t_call *)p)->opt, fields & T_OPT, i.options);
	if (bad) {
		t_free(p, type);
		t_errno = TSYSERR;
		return NULL;
	}
	return p;
}

int t_free(void *p, int type)
{
	if (p == NULL)
		return 0;
	switch (type) {
	case T_BIND:
		free(((struct t_bind *)p)->addr.buf);
		break;
	case T_OPTMGMT:
		free(((struct t_optmgmt *)p)->opt.buf);
		break;
	case T_CALL:
		free(((struct t_call *)p)->addr.buf);
		free(((struct t_call *)p)->opt.buf);
		break;
	case T_DIS:
	case T_INFO:
		break;
	default:
		t_errno = TNOSTRUCTYPE;
		return -1;
	}
	free(p);
	return 0;
}

static const char *const texts[] = {
	[0] = "no error",
	[TBADADDR] = "address of no use",
	[TBADOPT] = "options in the wrong format",
	[TACCES] = "no permission",
	[TBADF] = "no transport endpoint",
	[TNOADDR] = "no address could be allocated",
	[TOUTSTATE] = "not in this state",
	[TBADSEQ] = "no such connection indication",
	[TSYSERR] = "system error",
	[TLOOK] = "an event has to be looked at first",
	[TBADDATA] = "an amount of data that is not allowed",
	[TBUFOVFLW] = "a buffer is too small",
	[TFLOW] = "flow control",
	[TNODATA] = "nothing to report yet",
	[TNODIS] = "no disconnect indication",
	[TBADFLAG] = "flags that are not allowed",
	[TNOREL] = "no orderly release indication",
	[TNOTSUPPORT] = "not supported",
	[TNOSTRUCTYPE] = "no such type of structure",
	[TBADNAME] = "no such transport provider",
	[TBADQLEN] = "the endpoint does not listen",
	[TADDRBUSY] = "address in use",
	[TINDOUT] = "connection indications are outstanding",
	[TPROVMISMATCH] = "endpoints of different providers",
	[TRESQLEN] = "the endpoint listens itself",
	[TQFULL] = "the queue of connection indications is full",
};

const char *t_strerror(int err)
{
	const char *text = err >= 0 && err < (int)(sizeof texts / sizeof texts[0]) ? texts[err] : NULL;

	return text != NULL ? text : "unknown error";
}

int t_error(const char *text)
{
	int err = t_errno, no = errno;

	if (text != NULL && *text != 0)
		fprintf(stderr, "%s: ", text);
	if (err == TSYSERR)
		fprintf(stderr, "%s: %s\n", t_strerror(err), strerror(no));
	else
		fprintf(stderr, "%s\n", t_strerror(err));
	return 0;
}

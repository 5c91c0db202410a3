/*
 * The transport-level interface, X/Open's XTI and System V's TLI, over sockets of
 * Linux: service type T_COTS_ORD on /dev/tcp and /dev/tcp6. Inside a sandbox of
 * tcpcni these sockets are the user-space stack's. The numbers are those of
 * xti.h; what each call does and fails with is in the XTI specification, what
 * differs here is said at the top of tli.c.
 */
#ifndef TCPCNI_TLI_H
#define TCPCNI_TLI_H

#ifdef __cplusplus
extern "C" {
#endif

extern int *t_errno_location(void);
#define t_errno (*t_errno_location())

/* t_errno */
#define TBADADDR 1
#define TBADOPT 2
#define TACCES 3
#define TBADF 4
#define TNOADDR 5
#define TOUTSTATE 6
#define TBADSEQ 7
#define TSYSERR 8
#define TLOOK 9
#define TBADDATA 10
#define TBUFOVFLW 11
#define TFLOW 12
#define TNODATA 13
#define TNODIS 14
#define TBADFLAG 16
#define TNOREL 17
#define TNOTSUPPORT 18
#define TNOSTRUCTYPE 20
#define TBADNAME 21
#define TBADQLEN 22
#define TADDRBUSY 23
#define TINDOUT 24
#define TPROVMISMATCH 25
#define TRESQLEN 26
#define TQFULL 28

/* t_look */
#define T_LISTEN 0x0001
#define T_CONNECT 0x0002
#define T_DATA 0x0004
#define T_EXDATA 0x0008
#define T_DISCONNECT 0x0010
#define T_ORDREL 0x0080
#define T_GODATA 0x0100

/* states */
#define T_UNINIT 0
#define T_UNBND 1
#define T_IDLE 2
#define T_OUTCON 3
#define T_INCON 4
#define T_DATAXFER 5
#define T_OUTREL 6
#define T_INREL 7

/* flags of t_snd and t_rcv */
#define T_MORE 0x001
#define T_EXPEDITED 0x002

/* actions and status of t_optmgmt */
#define T_NEGOTIATE 0x004
#define T_CHECK 0x008
#define T_DEFAULT 0x010
#define T_SUCCESS 0x020
#define T_FAILURE 0x040
#define T_CURRENT 0x080
#define T_PARTSUCCESS 0x100
#define T_READONLY 0x200
#define T_NOTSUPPORT 0x400

/* options, which have a level and a name each */
#define XTI_GENERIC 0xffff
#define XTI_DEBUG 0x0001
#define XTI_LINGER 0x0080
#define XTI_SNDBUF 0x1001
#define XTI_RCVBUF 0x1002
#define XTI_SNDLOWAT 0x1003
#define XTI_RCVLOWAT 0x1004
#define INET_TCP 6
#define T_TCP_NODELAY 1
#define T_TCP_MAXSEG 2
#define T_TCP_KEEPALIVE 8
#define INET_IP 0
#define T_IP_TOS 3
#define T_IP_TTL 4
#define T_IP_DONTROUTE 0x10
#define T_YES 1
#define T_NO 0

/* struct t_info */
#define T_COTS 1
#define T_COTS_ORD 2
#define T_CLTS 3
#define T_INFINITE (-1)
#define T_INVALID (-2)

/* t_alloc */
#define T_BIND 1
#define T_OPTMGMT 2
#define T_CALL 3
#define T_DIS 4
#define T_INFO 7
#define T_ADDR 0x01
#define T_OPT 0x02
#define T_UDATA 0x04
#define T_ALL 0xffff

struct netbuf {
	unsigned int maxlen, len;
	void *buf;
};

struct t_bind {
	struct netbuf addr; /* struct sockaddr_in or sockaddr_in6 */
	unsigned int qlen;
};

struct t_call {
	struct netbuf addr, opt, udata; /* opt and udata are not used: len 0 */
	int sequence;
};

struct t_discon {
	struct netbuf udata;
	int reason; /* an errno */
	int sequence;
};

struct t_info {
	int addr, options, tsdu, etsdu, connect, discon, servtype, flags;
};

struct t_optmgmt {
	struct netbuf opt; /* struct t_opthdr, each followed by its value, at multiples of 4 */
	int flags;
};

struct t_opthdr {
	unsigned int len; /* with the value */
	unsigned int level, name, status;
};

struct t_linger {
	int l_onoff, l_linger; /* seconds */
};

#ifndef TCPCNI_T_KPALIVE /* tcpcni.h has it, too */
#define TCPCNI_T_KPALIVE
struct t_kpalive {
	int kp_onoff, kp_timeout; /* minutes */
};
#endif

/* flags: O_RDWR, and O_NONBLOCK for calls that do not wait */
int t_open(const char *name, int flags, struct t_info *info);
int t_close(int fd);
int t_bind(int fd, const struct t_bind *req, struct t_bind *ret);
int t_unbind(int fd);
int t_connect(int fd, const struct t_call *snd, struct t_call *rcv);
int t_rcvconnect(int fd, struct t_call *call);
int t_listen(int fd, struct t_call *call);
int t_accept(int fd, int resfd, const struct t_call *call);
int t_snd(int fd, const void *buf, unsigned int len, int flags);
int t_rcv(int fd, void *buf, unsigned int len, int *flags);
int t_sndrel(int fd);
int t_rcvrel(int fd);
int t_snddis(int fd, const struct t_call *call);
int t_rcvdis(int fd, struct t_discon *discon);
int t_optmgmt(int fd, const struct t_optmgmt *req, struct t_optmgmt *ret);
int t_look(int fd);
int t_getinfo(int fd, struct t_info *info);
int t_getstate(int fd);
int t_getprotaddr(int fd, struct t_bind *bound, struct t_bind *peer);
int t_sync(int fd);
void *t_alloc(int fd, int type, int fields);
int t_free(void *p, int type);
int t_error(const char *text);
const char *t_strerror(int err);

#ifdef __cplusplus
}
#endif
#endif

/*
 * Options that the profiles of tcpcni have and Linux has not, for setsockopt(2)
 * and getsockopt(2) of programs that are compiled on Linux. An option that
 * Linux has is called by Linux's number in every profile.
 *
 * Written from the option table by "go test ./sockopt -run Header -update".
 */
#ifndef TCPCNI_H
#define TCPCNI_H

/* Level SOL_SOCKET. */
#ifndef SO_REUSEPORT_LB
#define SO_REUSEPORT_LB 0x10000 /* freebsd */
#endif
#ifndef SO_EXCLBIND
#define SO_EXCLBIND 0x1015 /* illumos, omnios */
#endif
#ifndef SO_BINDTOINDEX
#define SO_BINDTOINDEX 0x3e /* sortix */
#endif

/* Level IPPROTO_TCP: 0x01SSNNNN, option NNNN of system SS; or the number of what Linux calls otherwise. */
#ifndef TCP_NOOPT
#define TCP_NOOPT 0x1020008 /* freebsd */
#endif
#ifndef TCP_NOPUSH
#define TCP_NOPUSH 0x3 /* freebsd */
#endif
#ifndef TCP_CCALGOOPT
#define TCP_CCALGOOPT 0x1020041 /* freebsd */
#endif
#ifndef TCP_KEEPINIT
#define TCP_KEEPINIT 0x1020080 /* freebsd */
#endif
#ifndef TCP_FUNCTION_BLK
#define TCP_FUNCTION_BLK 0x1022000 /* freebsd */
#endif
#ifndef TCP_INIT_CWND
#define TCP_INIT_CWND 0x1010015 /* illumos, omnios */
#endif
#ifndef TCP_KEEPALIVE_THRESHOLD
#define TCP_KEEPALIVE_THRESHOLD 0x1010016 /* illumos, omnios */
#endif
#ifndef TCP_KEEPALIVE_ABORT_THRESHOLD
#define TCP_KEEPALIVE_ABORT_THRESHOLD 0x1010017 /* illumos, omnios */
#endif
#ifndef TCP_NOTIFY_THRESHOLD
#define TCP_NOTIFY_THRESHOLD 0x1010010 /* illumos, omnios */
#endif
#ifndef TCP_ABORT_THRESHOLD
#define TCP_ABORT_THRESHOLD 0x1010011 /* illumos, omnios */
#endif
#ifndef TCP_CONN_NOTIFY_THRESHOLD
#define TCP_CONN_NOTIFY_THRESHOLD 0x1010012 /* illumos, omnios */
#endif
#ifndef TCP_CONN_ABORT_THRESHOLD
#define TCP_CONN_ABORT_THRESHOLD 0x1010013 /* illumos, omnios */
#endif
#ifndef TCP_RTO_INITIAL
#define TCP_RTO_INITIAL 0x1010019 /* illumos, omnios */
#endif
#ifndef TCP_RTO_MIN
#define TCP_RTO_MIN 0x101001a /* illumos, omnios */
#endif
#ifndef TCP_RTO_MAX
#define TCP_RTO_MAX 0x101001b /* illumos, omnios */
#endif
#ifndef TCP_ANONPRIVBIND
#define TCP_ANONPRIVBIND 0x1010020 /* illumos, omnios */
#endif
#ifndef TCP_EXCLBIND
#define TCP_EXCLBIND 0x1010021 /* illumos, omnios */
#endif
#ifndef TCP_KEEPALIVE
#define TCP_KEEPALIVE 0x1010008 /* illumos, omnios */
#endif
#ifndef TCP_RECVDSTADDR
#define TCP_RECVDSTADDR 0x1010014 /* illumos, omnios */
#endif

#endif

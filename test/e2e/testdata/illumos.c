/*
 * What tcp(7P) of illumos and tcp(4P) of OmniOS say of socket options, and
 * netinet/tcp.h beyond them, asked of a sandbox that has one of the profiles. Options that
 * Linux lacks come from tcpcni.h. Every line that is printed is a fault.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tcpcni.h"

static int tcp(void) { return socket(AF_INET, SOCK_STREAM, 0); }

static void set(int line, int fd, int level, int name, unsigned value, int want)
{
        int got = setsockopt(fd, level, name, &value, sizeof value) ? errno : 0;

        if (got != want)
                printf("line %d: option %#x set to %u: %s, want %s\n", line, name, value, strerror(got), strerror(want));
}

static void get(int line, int fd, int level, int name, unsigned want)
{
        unsigned got = 0;
        socklen_t len = sizeof got;

        if (getsockopt(fd, level, name, &got, &len))
                printf("line %d: option %#x: %s\n", line, name, strerror(errno));
        else if (len != sizeof got || got != want)
                printf("line %d: option %#x is %u in %u bytes, want %u\n", line, name, got, len, want);
}

static int bind_to(int fd, const char *addr, int port)
{
        struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

        inet_pton(AF_INET, addr, &sin.sin_addr);
        return bind(fd, (void *)&sin, sizeof sin) ? errno : 0;
}

static int port_of(int fd)
{
        struct sockaddr_in sin;
        socklen_t len = sizeof sin;

        getsockname(fd, (void *)&sin, &len);
        return ntohs(sin.sin_port);
}

#define SET(fd, level, name, value) set(__LINE__, fd, level, name, value, 0)
#define FAIL(fd, level, name, value, want) set(__LINE__, fd, level, name, value, want)
#define GET(fd, level, name, want) get(__LINE__, fd, level, name, want)
#define IS(got, want) \
        do { \
                int g = (got), w = (want); \
                if (g != w) \
                        printf("line %d: %s is %d, want %d\n", __LINE__, #got, g, w); \
        } while (0)
#define T IPPROTO_TCP

static void keep_alive(void)
{
        int s = tcp();

        GET(s, SOL_SOCKET, SO_KEEPALIVE, 0);
        SET(s, SOL_SOCKET, SO_KEEPALIVE, 1);
        GET(s, SOL_SOCKET, SO_KEEPALIVE, 8);
        GET(s, T, TCP_KEEPALIVE_THRESHOLD, 2 * 3600 * 1000);
        GET(s, T, TCP_KEEPALIVE_ABORT_THRESHOLD, 8 * 60 * 1000);
        FAIL(s, T, TCP_KEEPALIVE_THRESHOLD, 9999, EINVAL);
        SET(s, T, TCP_KEEPALIVE_THRESHOLD, 10000);
        GET(s, T, TCP_KEEPIDLE, 10);
        SET(s, T, TCP_KEEPIDLE, 864000);
        GET(s, T, TCP_KEEPALIVE_THRESHOLD, 864000000);
        FAIL(s, T, TCP_KEEPIDLE, 864001, EINVAL);
        SET(s, T, TCP_KEEPINTVL, 10);
        SET(s, T, TCP_KEEPCNT, 3);
        GET(s, T, TCP_KEEPALIVE_ABORT_THRESHOLD, 30000);
        SET(s, T, TCP_KEEPALIVE_ABORT_THRESHOLD, 0);
        GET(s, T, TCP_KEEPCNT, 0);
        SET(s, T, TCP_KEEPALIVE_ABORT_THRESHOLD, UINT32_MAX);
        GET(s, T, TCP_KEEPALIVE_ABORT_THRESHOLD, UINT32_MAX);
        close(s);
}

static void times(void)
{
        int s = tcp();
        long wide = 1;
        int minutes[2] = {1, 5}; /* struct t_kpalive */
        socklen_t len = sizeof minutes;

        SET(s, T, TCP_NOTIFY_THRESHOLD, 5000);
        SET(s, T, TCP_ABORT_THRESHOLD, 60000);
        SET(s, T, TCP_CONN_NOTIFY_THRESHOLD, 5000);
        SET(s, T, TCP_CONN_ABORT_THRESHOLD, 60000);
        GET(s, T, TCP_ABORT_THRESHOLD, 60000);
        SET(s, T, TCP_RTO_MIN, 500);
        FAIL(s, T, TCP_RTO_INITIAL, 499, EINVAL);
        FAIL(s, T, TCP_RTO_MAX, 60001, EINVAL);
        SET(s, T, TCP_RTO_MAX, 0);
        GET(s, T, TCP_RTO_MAX, 60000);
        GET(s, T, TCP_LINGER2, 60);
        FAIL(s, T, TCP_LINGER2, 61, EINVAL);
        SET(s, T, TCP_LINGER2, 5);
        IS(setsockopt(s, T, TCP_NODELAY, &wide, sizeof wide) ? errno : 0, EINVAL);
        IS(setsockopt(s, T, TCP_NODELAY, &wide, 1) ? errno : 0, EINVAL);
        IS(setsockopt(s, T, TCP_KEEPALIVE, minutes, len), 0);
        GET(s, SOL_SOCKET, SO_KEEPALIVE, 8);
        GET(s, T, TCP_KEEPIDLE, 300);
        SET(s, T, TCP_KEEPALIVE_THRESHOLD, 360001);
        IS(getsockopt(s, T, TCP_KEEPALIVE, minutes, &len), 0);
        IS(minutes[0], 1);
        IS(minutes[1], 7);
        IS(setsockopt(s, T, TCP_KEEPALIVE, minutes, sizeof minutes[0]) ? errno : 0, EINVAL);
        FAIL(s, T, TCP_MAXSEG, 1000, ENOPROTOOPT);
        FAIL(s, T, TCP_USER_TIMEOUT, 1000, ENOPROTOOPT);
        FAIL(s, SOL_SOCKET, SO_REUSEPORT, 1, ENOPROTOOPT);
        FAIL(s, T, 0x1f1f, 1, ENOPROTOOPT);
        close(s);
}

static void buffers(void)
{
        int s = tcp();

        GET(s, SOL_SOCKET, SO_SNDBUF, 49152);
        GET(s, SOL_SOCKET, SO_RCVBUF, 128000);
        SET(s, SOL_SOCKET, SO_SNDBUF, 100000);
        GET(s, SOL_SOCKET, SO_SNDBUF, 100000);
        FAIL(s, SOL_SOCKET, SO_RCVBUF, 1048577, ENOBUFS);
        SET(s, SOL_SOCKET, SO_RCVBUF, 0);
        GET(s, SOL_SOCKET, SO_RCVBUF, 128000);
        close(s);
}

static void exclusive(void)
{
        int a = tcp(), b = tcp();

        SET(a, SOL_SOCKET, SO_EXCLBIND, 1);
        GET(a, SOL_SOCKET, SO_EXCLBIND, 0x1015);
        GET(a, T, TCP_EXCLBIND, 0x21);
        IS(bind_to(a, "0.0.0.0", 4000), 0);
        SET(b, SOL_SOCKET, SO_REUSEADDR, 1);
        IS(bind_to(b, "127.0.0.1", 4000), EADDRINUSE);
        SET(a, SOL_SOCKET, SO_EXCLBIND, 0);
        IS(bind_to(b, "127.0.0.1", 4000), 0);
        close(a);
        close(b);
}

/* A connection to itself: what is inherited, and what is not. */
static void accepted(void)
{
        int l = tcp(), c = tcp(), s;
        struct sockaddr_in sin = {.sin_family = AF_INET};
        char text[100];

        inet_pton(AF_INET, "127.0.0.1", &sin.sin_addr);
        SET(l, SOL_SOCKET, SO_EXCLBIND, 1);
        SET(l, SOL_SOCKET, SO_KEEPALIVE, 1);
        SET(l, T, TCP_KEEPALIVE_THRESHOLD, 20000);
        SET(l, T, TCP_NODELAY, 1);
        SET(l, T, TCP_CORK, 1);
        SET(l, T, TCP_INIT_CWND, 2);
        SET(l, T, TCP_RTO_MIN, 600);
        SET(l, T, TCP_LINGER2, 7);
        SET(l, T, TCP_QUICKACK, 1);
        SET(l, T, TCP_RECVDSTADDR, 1);
        IS(bind_to(l, "127.0.0.1", 0), 0);
        listen(l, 5);
        GET(l, SOL_SOCKET, SO_ACCEPTCONN, 2);
        sin.sin_port = htons(port_of(l));
        IS(connect(c, (void *)&sin, sizeof sin), 0);
        IS(connect(c, (void *)&sin, sizeof sin) ? errno : 0, EISCONN);
        s = accept(l, NULL, NULL);
        GET(s, SOL_SOCKET, SO_EXCLBIND, 0);
        GET(s, SOL_SOCKET, SO_KEEPALIVE, 8);
        GET(s, T, TCP_KEEPIDLE, 20);
        GET(s, T, TCP_NODELAY, 1);
        GET(s, T, TCP_CORK, 0);
        GET(s, T, TCP_INIT_CWND, 2);
        GET(s, T, TCP_RTO_MIN, 600);
        GET(s, T, TCP_LINGER2, 7);
        GET(s, T, TCP_QUICKACK, 0);
        GET(s, T, TCP_RECVDSTADDR, 1);
        FAIL(s, T, TCP_RECVDSTADDR, 1, EOPNOTSUPP);
        SET(c, T, TCP_CORK, 1);
        IS(write(c, "corked", 6), 6);
        IS(recv(s, text, sizeof text, MSG_DONTWAIT), -1);
        SET(c, T, TCP_CORK, 0);
        IS(read(s, text, sizeof text), 6);
        close(l);
        close(c);
        close(s);
}

static void algorithm(void)
{
        char name[32] = "";
        socklen_t len = sizeof name;
        int s = tcp();

        getsockopt(s, T, TCP_CONGESTION, name, &len);
        IS(strcmp(name, "sunreno"), 0);
        IS(len, sizeof "sunreno");
        IS(setsockopt(s, T, TCP_CONGESTION, "cubic", 5), 0);
        len = sizeof name;
        getsockopt(s, T, TCP_CONGESTION, name, &len);
        IS(strcmp(name, "cubic"), 0);
        IS(setsockopt(s, T, TCP_CONGESTION, "vegas", 5) ? errno : 0, ENOENT);
        SET(s, T, TCP_QUICKACK, 1);
        GET(s, T, TCP_QUICKACK, 1);
        SET(s, T, TCP_MD5SIG, 1);
        close(s);
}

static void privileges(void)
{
        int s = tcp(), a = tcp();

        FAIL(s, T, TCP_INIT_CWND, 5, EPERM); /* a sandbox has no CAP_NET_ADMIN */
        SET(a, T, TCP_ANONPRIVBIND, 1);
        IS(bind_to(a, "0.0.0.0", 0), 0);
        IS(port_of(a) >= 512 && port_of(a) < 1024, 1);
        if (setuid(65534))
                printf("setuid: %s\n", strerror(errno));
        SET(s, T, TCP_INIT_CWND, 4);
        FAIL(s, T, TCP_INIT_CWND, 5, EPERM);
        FAIL(s, T, TCP_ANONPRIVBIND, 1, EACCES);
        IS(bind_to(s, "0.0.0.0", 1023), EACCES);
        IS(bind_to(s, "10.99.99.99", 4001), EADDRNOTAVAIL);
        IS(bind_to(s, "0.0.0.0", 0), 0);
        IS(port_of(s) >= 32768, 1);
        close(a);
        close(s);
}

int main(void)
{
        keep_alive();
        times();
        buffers();
        exclusive();
        accepted();
        algorithm();
        privileges();
        return 0;
}

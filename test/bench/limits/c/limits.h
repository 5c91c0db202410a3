/* What the loops have in common. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SUPER = 64 << 10, ETHER = 14, HEADERS = ETHER + 20 + 20 };

extern double duration;    /* of each loop, seconds */
extern char *from, *to;    /* 65 MiB each */
extern int pair[2];        /* AF_UNIX, with a large buffer */
extern int tap, packet;    /* the TAP, and a packet socket that sends to it */
extern char frame[];       /* virtio-net header and frame, made by make_frame */
extern size_t frame_len;

void die(const char *what);

/* refused reports a loop that the kernel does not let run, with the error of the last call. */
void refused(const char *name);

/* wanted says whether a loop whose name begins so, or a part of them, was asked for. */
int wanted(const char *name);

/* measure reports what one call of once takes, measure_batch when it is batch operations. */
void measure(const char *name, size_t bytes, void (*once)(size_t));
void measure_batch(const char *name, size_t bytes, int batch, void (*once)(size_t));

/* pin binds the caller to a processor; a negative one is all of them. */
void pin(int place);

/* start has another process run until stop; its processor time counts. */
pid_t start(int place, void (*run)(void));
void stop(pid_t child);

void make_frame(size_t payload);
void tap_write(size_t n);

void pair_loops(void);
void wake_loops(void);
void notify_loops(void);
void uring_loops(void);
void packet_loops(void);

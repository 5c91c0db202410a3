/* Frames to and from a TAP by io_uring(7), many with one call. */
#include "limits.h"

enum { ENTRIES = 256 };

struct ring {
	int fd;
	unsigned *sq_head, *sq_tail, *sq_flags, *sq_array, sq_mask;
	unsigned *cq_head, *cq_tail, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	int polled; /* a thread of the kernel's looks for entries */
};

static struct ring ring;
static int batch;
static char *inbox; /* ENTRIES frames */

static void *map(int fd, size_t n, off_t at)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, at);

	if (p == MAP_FAILED)
		die("mmap of io_uring");
	return p;
}

static int open_ring(int polled)
{
	struct io_uring_params p = { .flags = polled ? IORING_SETUP_SQPOLL : IORING_SETUP_SINGLE_ISSUER };
	char *sq, *cq;

	if (polled)
		p.sq_thread_idle = 1000;
	ring.fd = syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (ring.fd < 0) {
		refused(polled ? "tap-batch-write-sqpoll-n" : "tap-batch-write-uring-n");
		return 0;
	}
	sq = map(ring.fd, p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	cq = map(ring.fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	ring.sqes = map(ring.fd, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	ring.sq_head = (unsigned *)(sq + p.sq_off.head);
	ring.sq_tail = (unsigned *)(sq + p.sq_off.tail);
	ring.sq_flags = (unsigned *)(sq + p.sq_off.flags);
	ring.sq_array = (unsigned *)(sq + p.sq_off.array);
	ring.sq_mask = p.sq_entries - 1;
	ring.cq_head = (unsigned *)(cq + p.cq_off.head);
	ring.cq_tail = (unsigned *)(cq + p.cq_off.tail);
	ring.cq_mask = p.cq_entries - 1;
	ring.cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
	ring.polled = polled;
	return 1;
}

static void enter(int op, int i, void *data, size_t n)
{
	unsigned tail = *ring.sq_tail, at = (tail + i) & ring.sq_mask;
	struct io_uring_sqe *e = &ring.sqes[at];

	memset(e, 0, sizeof *e);
	e->opcode = op;
	e->fd = tap;
	e->addr = (uintptr_t)data;
	e->len = n;
	e->off = -1;
	ring.sq_array[at] = at;
}

/* finish submits n entries and waits for all of them. */
static void finish(int n)
{
	unsigned head = *ring.cq_head;

	__atomic_store_n(ring.sq_tail, *ring.sq_tail + n, __ATOMIC_RELEASE);
	if (!ring.polled) {
		if (syscall(SYS_io_uring_enter, ring.fd, n, n, IORING_ENTER_GETEVENTS, NULL, 0) != n)
			die("io_uring_enter");
	} else if (__atomic_load_n(ring.sq_flags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP) {
		if (syscall(SYS_io_uring_enter, ring.fd, n, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0) < 0)
			die("io_uring_enter");
	}
	while (__atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE) - head < (unsigned)n)
		if (ring.polled)
			__builtin_ia32_pause();
	for (int i = 0; i < n; i++)
		if (ring.cqes[(head + i) & ring.cq_mask].res <= 0) {
			errno = -ring.cqes[(head + i) & ring.cq_mask].res;
			die("io_uring");
		}
	__atomic_store_n(ring.cq_head, head + n, __ATOMIC_RELEASE);
}

static void writes(size_t n)
{
	(void)n;
	for (int i = 0; i < batch; i++)
		enter(IORING_OP_WRITE, i, frame, frame_len);
	finish(batch);
}

static void plain_writes(size_t n)
{
	for (int i = 0; i < batch; i++)
		tap_write(n);
}

static void put(void)
{
	for (int i = 0; i < batch; i++)
		if (write(packet, frame, frame_len) != (ssize_t)frame_len)
			die("packet socket");
}

static void reads(size_t n)
{
	(void)n;
	put();
	for (int i = 0; i < batch; i++)
		enter(IORING_OP_READ, i, inbox + i * (SUPER + 256), SUPER + 256);
	finish(batch);
}

static void plain_reads(size_t n)
{
	(void)n;
	put();
	for (int i = 0; i < batch; i++)
		if (read(tap, inbox + i * (SUPER + 256), SUPER + 256) <= 0)
			die("TAP");
}

void uring_loops(void)
{
	static const size_t sizes[] = { 1, 1448, SUPER - 64 - 1448 };
	static const int batches[] = { 1, 64 };

	if (!wanted("tap-batch-"))
		return;
	inbox = calloc(ENTRIES, SUPER + 256);
	if (inbox == NULL)
		die("calloc");
	for (int polled = 0; polled < 2; polled++) {
		if (!open_ring(polled))
			return;
		for (size_t s = 0; s < 3; s++)
			for (size_t b = 0; b < 2; b++) {
				char name[64];

				make_frame(sizes[s]);
				batch = batches[b];
				snprintf(name, sizeof name, "tap-batch-write-%s-%d", polled ? "sqpoll" : "uring", batch);
				measure_batch(name, sizes[s], batch, writes);
				if (polled)
					continue;
				snprintf(name, sizeof name, "tap-batch-write-plain-%d", batch);
				measure_batch(name, sizes[s], batch, plain_writes);
				snprintf(name, sizeof name, "tap-batch-read-uring-%d", batch);
				measure_batch(name, sizes[s], batch, reads);
				snprintf(name, sizeof name, "tap-batch-read-plain-%d", batch);
				measure_batch(name, sizes[s], batch, plain_reads);
			}
		close(ring.fd);
	}
}

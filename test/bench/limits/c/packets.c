/*
 * Packet sockets on a veth pair against the TAP: by calls, and by rings in shared
 * memory (Documentation/networking/packet_mmap.rst).
 */
#include "limits.h"

/* A slot of TPACKET_V2 has to hold a super-segment; blocks of TPACKET_V3 hold several. */
enum { SLOTS = 64, SLOT = 128 << 10, BLOCKS = 8, BLOCK = 1 << 20, BURST = 32 };

static int near, far; /* ends: the engine's, and the other one */
static char *area;
static unsigned slot;

static int open_packet(const char *name, int protocol)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1, room = 32 << 20;

	if (fd < 0 || at.sll_ifindex == 0)
		die(name);
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) < 0)
		die("PACKET_VNET_HDR");
	/* Without it, what the socket itself sends comes back to it. */
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0)
		die("PACKET_IGNORE_OUTGOING");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
		die("bind");
	return fd;
}

static void sends(int fd)
{
	if (write(fd, frame, frame_len) != (ssize_t)frame_len)
		die("packet socket");
}

/* To the other end's kernel, which has no use for it. */
static void writes(size_t n)
{
	(void)n;
	sends(near);
}

/* The TAP's loops are one frame at a time; so is this. */
static void reads(size_t n)
{
	(void)n;
	sends(far);
	if (read(near, to, SUPER + 256) <= 0)
		die("read");
}

static void burst_reads(size_t n)
{
	(void)n;
	for (int i = 0; i < BURST; i++)
		sends(far);
	for (int i = 0; i < BURST; i++)
		if (read(near, to, SUPER + 256) <= 0)
			die("read");
}

static void ring2(size_t n)
{
	struct tpacket2_hdr *h;

	(void)n;
	for (int i = 0; i < BURST; i++)
		sends(far);
	for (int i = 0; i < BURST; i++) {
		h = (struct tpacket2_hdr *)(area + slot * SLOT);
		while (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			;
		__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		slot = (slot + 1) % SLOTS;
	}
}

static struct tpacket_block_desc *block(void) { return (struct tpacket_block_desc *)(area + slot * BLOCK); }

static int filled(void) { return __atomic_load_n(&block()->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER; }

/* empty walks over the frames of a block, as whoever uses them would. */
static unsigned empty(void)
{
	struct tpacket_block_desc *b = block();
	struct tpacket3_hdr *h = (struct tpacket3_hdr *)((char *)b + b->hdr.bh1.offset_to_first_pkt);
	unsigned n = b->hdr.bh1.num_pkts;

	for (unsigned i = 0; i < n; i++)
		h = (struct tpacket3_hdr *)((char *)h + h->tp_next_offset);
	__atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	slot = (slot + 1) % BLOCKS;
	return n;
}

/* Whole blocks under way, so that no timeout has a part in it. */
static void ring3(size_t n)
{
	(void)n;
	for (int i = 0; i < BURST; i++) {
		sends(far);
		while (filled())
			empty();
	}
}

/* One frame, and how long until it is to be seen: a block that is not full waits for its timeout. */
static void ring3_one(size_t n)
{
	struct pollfd p = { near, POLLIN, 0 };

	(void)n;
	sends(far);
	while (!filled())
		if (poll(&p, 1, -1) < 0)
			die("poll");
	while (filled())
		empty();
}

static void open_ring(int version)
{
	struct tpacket_req3 r = { 0 };

	slot = 0;
	near = open_packet("limit1", ETH_P_ALL);
	if (setsockopt(near, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0)
		die("PACKET_VERSION");
	r.tp_block_size = version == TPACKET_V3 ? BLOCK : SLOT;
	r.tp_block_nr = version == TPACKET_V3 ? BLOCKS : SLOTS;
	r.tp_frame_size = SLOT;
	r.tp_frame_nr = (size_t)r.tp_block_size * r.tp_block_nr / SLOT;
	r.tp_retire_blk_tov = 1; /* millisecond, the least */
	if (setsockopt(near, SOL_PACKET, PACKET_RX_RING, &r, version == TPACKET_V3 ? sizeof r : sizeof(struct tpacket_req)) < 0)
		die("PACKET_RX_RING");
	area = mmap(NULL, (size_t)r.tp_block_size * r.tp_block_nr, PROT_READ | PROT_WRITE, MAP_SHARED, near, 0);
	if (area == MAP_FAILED)
		die("mmap");
}

static void close_ring(size_t n)
{
	munmap(area, n);
	close(near);
}

void packet_loops(void)
{
	static const size_t sizes[] = { 1, 1448, SUPER - 64 - 1448 };

	if (!wanted("packet-"))
		return;
	far = open_packet("limit2", 0);
	near = open_packet("limit1", ETH_P_ALL);
	for (int i = 0; i < 3; i++) {
		make_frame(sizes[i]);
		while (recv(near, to, SUPER, MSG_DONTWAIT) > 0)
			;
		measure("packet-veth-write", sizes[i], writes);
		measure("packet-veth-read", sizes[i], reads);
		measure_batch("packet-veth-read-32", sizes[i], BURST, burst_reads);
	}
	close(near);
	for (int i = 0; i < 3; i++) {
		make_frame(sizes[i]);
		open_ring(TPACKET_V2);
		measure_batch("packet-veth-ring2-32", sizes[i], BURST, ring2);
		close_ring((size_t)SLOT * SLOTS);
		open_ring(TPACKET_V3);
		measure_batch("packet-veth-ring3-32", sizes[i], BURST, ring3);
		close_ring((size_t)BLOCK * BLOCKS);
	}
	make_frame(1);
	open_ring(TPACKET_V3);
	measure("packet-veth-ring3-one", 1, ring3_one);
	close_ring((size_t)BLOCK * BLOCKS);
}

/*
 * Options that the profiles of tcpcni have and Linux has not, for setsockopt(2)
 * and getsockopt(2) of programs that are compiled on Linux. An option that
 * Linux has is called by Linux's number in every profile.
 *
 * Include it behind the system's headers: it leaves out what they have.
 *
 * Written from the option table by "go test ./sockopt -run Header -update".
 */
#ifndef TCPCNI_H
#define TCPCNI_H

#include <stdint.h>
#include <sys/socket.h>

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

/* What options take and give that the C library has no structure for, or an older one. */
struct tcp_info_linux { /* TCP_INFO of profile linux, as of Linux 6.18: struct tcp_info of linux/tcp.h */
	uint8_t tcpi_state, tcpi_ca_state, tcpi_retransmits, tcpi_probes, tcpi_backoff, tcpi_options;
	uint8_t tcpi_snd_wscale : 4, tcpi_rcv_wscale : 4;
	uint8_t tcpi_delivery_rate_app_limited : 1, tcpi_fastopen_client_fail : 2;
	uint32_t tcpi_rto, tcpi_ato, tcpi_snd_mss, tcpi_rcv_mss;
	uint32_t tcpi_unacked, tcpi_sacked, tcpi_lost, tcpi_retrans, tcpi_fackets;
	uint32_t tcpi_last_data_sent, tcpi_last_ack_sent, tcpi_last_data_recv, tcpi_last_ack_recv;
	uint32_t tcpi_pmtu, tcpi_rcv_ssthresh, tcpi_rtt, tcpi_rttvar, tcpi_snd_ssthresh, tcpi_snd_cwnd, tcpi_advmss, tcpi_reordering;
	uint32_t tcpi_rcv_rtt, tcpi_rcv_space, tcpi_total_retrans;
	uint64_t tcpi_pacing_rate, tcpi_max_pacing_rate, tcpi_bytes_acked, tcpi_bytes_received;
	uint32_t tcpi_segs_out, tcpi_segs_in, tcpi_notsent_bytes, tcpi_min_rtt, tcpi_data_segs_in, tcpi_data_segs_out;
	uint64_t tcpi_delivery_rate, tcpi_busy_time, tcpi_rwnd_limited, tcpi_sndbuf_limited;
	uint32_t tcpi_delivered, tcpi_delivered_ce;
	uint64_t tcpi_bytes_sent, tcpi_bytes_retrans;
	uint32_t tcpi_dsack_dups, tcpi_reord_seen, tcpi_rcv_ooopack, tcpi_snd_wnd, tcpi_rcv_wnd, tcpi_rehash;
	uint16_t tcpi_total_rto, tcpi_total_rto_recoveries;
	uint32_t tcpi_total_rto_time, tcpi_received_ce;
	uint32_t tcpi_delivered_e1_bytes, tcpi_delivered_e0_bytes, tcpi_delivered_ce_bytes;
	uint32_t tcpi_received_e1_bytes, tcpi_received_e0_bytes, tcpi_received_ce_bytes;
	uint16_t tcpi_accecn_fail_mode, tcpi_accecn_opt_seen;
};
struct tcp_info_freebsd { /* TCP_INFO of profile freebsd, as of FreeBSD 12: struct tcp_info of netinet/tcp.h there; unused is 0 */
	uint8_t tcpi_state, unused_1[4], tcpi_options;
	uint8_t tcpi_snd_wscale : 4, tcpi_rcv_wscale : 4;
	uint32_t tcpi_rto, unused_2, tcpi_snd_mss, tcpi_rcv_mss, unused_3[7], tcpi_last_data_recv, unused_4[3];
	uint32_t tcpi_rtt, tcpi_rttvar, tcpi_snd_ssthresh, tcpi_snd_cwnd, unused_5[3], tcpi_rcv_space;
	uint32_t tcpi_snd_wnd, tcpi_snd_bwnd, tcpi_snd_nxt, tcpi_rcv_nxt, tcpi_toe_tid, tcpi_snd_rexmitpack, tcpi_rcv_ooopack, tcpi_snd_zerowin;
	uint32_t unused_6[26];
};
struct tcp_function_set { /* TCP_FUNCTION_BLK of profile freebsd */
	char function_set_name[32];
	uint32_t pcbcnt;
};
struct cc_newreno_opts { /* TCP_CCALGOOPT of profile freebsd: CC_NEWRENO_BETA is 1, CC_NEWRENO_BETA_ECN is 2 */
	int name;
	uint32_t val;
};
#ifndef TCPCNI_T_KPALIVE
#define TCPCNI_T_KPALIVE
struct t_kpalive { /* TCP_KEEPALIVE of profiles illumos and omnios; minutes */
	int kp_onoff, kp_timeout;
};
#endif

/* TCP-AO, which headers older than Linux 6.7 lack. */
#ifndef TCP_AO_ADD_KEY
#define TCP_AO_ADD_KEY 38
#define TCP_AO_DEL_KEY 39
#define TCP_AO_INFO 40
#define TCP_AO_GET_KEYS 41
#define TCP_AO_MAXKEYLEN 80
#define TCP_AO_KEYF_IFINDEX 1
#define TCP_AO_KEYF_EXCLUDE_OPT 2
struct tcp_ao_add { /* TCP_AO_ADD_KEY */
	struct sockaddr_storage addr;
	char alg_name[64];
	int32_t ifindex;
	uint32_t set_current : 1, set_rnext : 1, reserved : 30;
	uint16_t reserved2;
	uint8_t prefix, sndid, rcvid, maclen, keyflags, keylen, key[TCP_AO_MAXKEYLEN];
};
struct tcp_ao_del { /* TCP_AO_DEL_KEY */
	struct sockaddr_storage addr;
	int32_t ifindex;
	uint32_t set_current : 1, set_rnext : 1, del_async : 1, reserved : 29;
	uint16_t reserved2;
	uint8_t prefix, sndid, rcvid, current_key, rnext, keyflags;
};
struct tcp_ao_getsockopt { /* TCP_AO_GET_KEYS */
	struct sockaddr_storage addr;
	char alg_name[64];
	uint8_t key[TCP_AO_MAXKEYLEN];
	uint32_t nkeys;
	uint16_t is_current : 1, is_rnext : 1, get_all : 1, reserved : 13;
	uint8_t sndid, rcvid, prefix, maclen, keyflags, keylen;
	int32_t ifindex;
	uint64_t pkt_good, pkt_bad;
};
struct tcp_ao_info_opt { /* TCP_AO_INFO */
	uint32_t set_current : 1, set_rnext : 1, ao_required : 1, set_counters : 1, accept_icmps : 1, reserved : 27;
	uint16_t reserved2;
	uint8_t current_key, rnext;
	uint64_t pkt_good, pkt_bad, pkt_key_not_found, pkt_ao_required, pkt_dropped_icmp;
};
#endif

#endif

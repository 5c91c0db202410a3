package sockopt

import (
	"fmt"
	"go/format"
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	header    = "../include/tcpcni.h"
	constants = "numbers/numbers.go"
)

// TestHeader and TestConstants hold the files that programs take numbers from
// against the table: go test ./sockopt -run 'Header|Constants' -update writes
// them.
func TestHeader(t *testing.T) { current(t, header, cHeader(t)) }

func TestConstants(t *testing.T) {
	text, err := format.Source([]byte(goConstants(t)))
	if err != nil {
		t.Fatal(err)
	}
	current(t, constants, string(text))
}

// current holds a generated file against what it should be.
func current(t *testing.T, file, want string) {
	t.Helper()
	have, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	switch {
	case string(have) == want:
	case !*update:
		t.Fatalf("%s is not what the table says; rewrite it with go test ./sockopt -run 'Header|Constants' -update", file)
	default:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A numbered option is one of the table with the profiles that have it.
type numbered struct {
	row     *Row
	systems []string
}

// numberedOptions are the options of all profiles at the levels that sockets of
// TCP have, each name once. A name has one number.
func numberedOptions(t *testing.T) []numbered {
	var list []numbered
	place := make(map[string]int)
	for _, profile := range ProfileNames() {
		rows := profileOf(t, profile).Rows()
		for i := range rows {
			r := &rows[i]
			at, ok := place[r.Name]
			if !ok {
				place[r.Name] = len(list)
				list = append(list, numbered{row: r, systems: []string{profile}})
				continue
			}
			n := &list[at]
			if n.row.Number != r.Number && r.Level == n.row.Level {
				t.Errorf("%s is %#x in profile %s and %#x in %s", r.Name, n.row.Number, n.systems[0], r.Number, profile)
			}
			if r.Level == n.row.Level {
				n.systems = append(n.systems, profile)
			}
		}
	}
	return list
}

func cHeader(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`/*
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
`)
	options := numberedOptions(t)
	for _, level := range []int{SolSocket, protoTCP} {
		if level == protoTCP {
			b.WriteString("\n/* Level IPPROTO_TCP: 0x01SSNNNN, option NNNN of system SS; or the number of what Linux calls otherwise. */\n")
		}
		for _, n := range options {
			if r := n.row; r.Level == level && (r.Foreign() || !slices.Contains(n.systems, "linux")) && r.Refuse == 0 {
				fmt.Fprintf(&b, "#ifndef %s\n#define %s 0x%x /* %s */\n#endif\n", r.Name, r.Name, r.Number, strings.Join(n.systems, ", "))
			}
		}
	}
	b.WriteString("\n/* What options take and give that the C library has no structure for, or an older one. */\n")
	for _, s := range structures {
		s.write(&b)
	}
	b.WriteString("\n/* TCP-AO, which headers older than Linux 6.7 lack. */\n#ifndef TCP_AO_ADD_KEY\n")
	for _, n := range options {
		if strings.HasPrefix(n.row.Name, "TCP_AO_") && n.row.Refuse == 0 {
			fmt.Fprintf(&b, "#define %s %d\n", n.row.Name, n.row.Number)
		}
	}
	fmt.Fprintf(&b, "#define TCP_AO_MAXKEYLEN %d\n#define TCP_AO_KEYF_IFINDEX %d\n#define TCP_AO_KEYF_EXCLUDE_OPT %d\n", maxKeyLen, aoDefaultVRF, aoExcludeOpt)
	for _, s := range aoStructures {
		s.write(&b)
	}
	b.WriteString("#endif\n\n#endif\n")
	return b.String()
}

// A structure is the value of an option as a C program declares it.
type structure struct {
	name, about string
	guard       string // another header of ours may have it
	fields      []string
}

// structures are those of the header. The fields of struct tcp_info have the names
// that its system gives them; test/header holds the layouts against TCPInfo and
// against the system's own header.
var structures = []structure{
	{name: "tcp_info_linux", about: "TCP_INFO of profile linux, as of Linux 6.18: struct tcp_info of linux/tcp.h", fields: []string{
		"uint8_t tcpi_state, tcpi_ca_state, tcpi_retransmits, tcpi_probes, tcpi_backoff, tcpi_options",
		"uint8_t tcpi_snd_wscale : 4, tcpi_rcv_wscale : 4",
		"uint8_t tcpi_delivery_rate_app_limited : 1, tcpi_fastopen_client_fail : 2",
		"uint32_t tcpi_rto, tcpi_ato, tcpi_snd_mss, tcpi_rcv_mss",
		"uint32_t tcpi_unacked, tcpi_sacked, tcpi_lost, tcpi_retrans, tcpi_fackets",
		"uint32_t tcpi_last_data_sent, tcpi_last_ack_sent, tcpi_last_data_recv, tcpi_last_ack_recv",
		"uint32_t tcpi_pmtu, tcpi_rcv_ssthresh, tcpi_rtt, tcpi_rttvar, tcpi_snd_ssthresh, tcpi_snd_cwnd, tcpi_advmss, tcpi_reordering",
		"uint32_t tcpi_rcv_rtt, tcpi_rcv_space, tcpi_total_retrans",
		"uint64_t tcpi_pacing_rate, tcpi_max_pacing_rate, tcpi_bytes_acked, tcpi_bytes_received",
		"uint32_t tcpi_segs_out, tcpi_segs_in, tcpi_notsent_bytes, tcpi_min_rtt, tcpi_data_segs_in, tcpi_data_segs_out",
		"uint64_t tcpi_delivery_rate, tcpi_busy_time, tcpi_rwnd_limited, tcpi_sndbuf_limited",
		"uint32_t tcpi_delivered, tcpi_delivered_ce",
		"uint64_t tcpi_bytes_sent, tcpi_bytes_retrans",
		"uint32_t tcpi_dsack_dups, tcpi_reord_seen, tcpi_rcv_ooopack, tcpi_snd_wnd, tcpi_rcv_wnd, tcpi_rehash",
		"uint16_t tcpi_total_rto, tcpi_total_rto_recoveries",
		"uint32_t tcpi_total_rto_time, tcpi_received_ce",
		"uint32_t tcpi_delivered_e1_bytes, tcpi_delivered_e0_bytes, tcpi_delivered_ce_bytes",
		"uint32_t tcpi_received_e1_bytes, tcpi_received_e0_bytes, tcpi_received_ce_bytes",
		"uint16_t tcpi_accecn_fail_mode, tcpi_accecn_opt_seen",
	}},
	{name: "tcp_info_freebsd", about: "TCP_INFO of profile freebsd, as of FreeBSD 12: struct tcp_info of netinet/tcp.h there; unused is 0", fields: []string{
		"uint8_t tcpi_state, unused_1[4], tcpi_options",
		"uint8_t tcpi_snd_wscale : 4, tcpi_rcv_wscale : 4",
		"uint32_t tcpi_rto, unused_2, tcpi_snd_mss, tcpi_rcv_mss, unused_3[7], tcpi_last_data_recv, unused_4[3]",
		"uint32_t tcpi_rtt, tcpi_rttvar, tcpi_snd_ssthresh, tcpi_snd_cwnd, unused_5[3], tcpi_rcv_space",
		"uint32_t tcpi_snd_wnd, tcpi_snd_bwnd, tcpi_snd_nxt, tcpi_rcv_nxt, tcpi_toe_tid, tcpi_snd_rexmitpack, tcpi_rcv_ooopack, tcpi_snd_zerowin",
		"uint32_t unused_6[26]",
	}},
	{name: "tcp_function_set", about: "TCP_FUNCTION_BLK of profile freebsd", fields: []string{"char function_set_name[32]", "uint32_t pcbcnt"}},
	{name: "cc_newreno_opts", about: "TCP_CCALGOOPT of profile freebsd: CC_NEWRENO_BETA is 1, CC_NEWRENO_BETA_ECN is 2", fields: []string{"int name", "uint32_t val"}},
	{name: "t_kpalive", about: "TCP_KEEPALIVE of profiles illumos and omnios; minutes", guard: "TCPCNI_T_KPALIVE", fields: []string{"int kp_onoff, kp_timeout"}},
}

// aoStructures are those of TCP-AO; test/header has their sizes.
var aoStructures = []structure{
	{name: "tcp_ao_add", about: "TCP_AO_ADD_KEY", fields: []string{
		"struct sockaddr_storage addr", "char alg_name[64]", "int32_t ifindex", "uint32_t set_current : 1, set_rnext : 1, reserved : 30", "uint16_t reserved2",
		"uint8_t prefix, sndid, rcvid, maclen, keyflags, keylen, key[TCP_AO_MAXKEYLEN]",
	}},
	{name: "tcp_ao_del", about: "TCP_AO_DEL_KEY", fields: []string{
		"struct sockaddr_storage addr", "int32_t ifindex", "uint32_t set_current : 1, set_rnext : 1, del_async : 1, reserved : 29", "uint16_t reserved2",
		"uint8_t prefix, sndid, rcvid, current_key, rnext, keyflags",
	}},
	{name: "tcp_ao_getsockopt", about: "TCP_AO_GET_KEYS", fields: []string{
		"struct sockaddr_storage addr", "char alg_name[64]", "uint8_t key[TCP_AO_MAXKEYLEN]", "uint32_t nkeys", "uint16_t is_current : 1, is_rnext : 1, get_all : 1, reserved : 13",
		"uint8_t sndid, rcvid, prefix, maclen, keyflags, keylen", "int32_t ifindex", "uint64_t pkt_good, pkt_bad",
	}},
	{name: "tcp_ao_info_opt", about: "TCP_AO_INFO", fields: []string{
		"uint32_t set_current : 1, set_rnext : 1, ao_required : 1, set_counters : 1, accept_icmps : 1, reserved : 27", "uint16_t reserved2",
		"uint8_t current_key, rnext", "uint64_t pkt_good, pkt_bad, pkt_key_not_found, pkt_ao_required, pkt_dropped_icmp",
	}},
}

func (s *structure) write(b *strings.Builder) {
	if s.guard != "" {
		fmt.Fprintf(b, "#ifndef %s\n#define %s\n", s.guard, s.guard)
	}
	fmt.Fprintf(b, "struct %s { /* %s */\n", s.name, s.about)
	for _, f := range s.fields {
		fmt.Fprintf(b, "\t%s;\n", f)
	}
	b.WriteString("};\n")
	if s.guard != "" {
		b.WriteString("#endif\n")
	}
}

func goConstants(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`// Package numbers names the socket options of all profiles by their numbers on
// the Linux ABI, as setsockopt(2) and getsockopt(2) of a sandbox take them.
//
// Written from the option table by "go test ./sockopt -run Constants -update".
package numbers
`)
	options := numberedOptions(t)
	for _, level := range []int{SolSocket, protoTCP, protoUDP, protoIP, protoIPv6} {
		fmt.Fprintf(&b, "\n// Level %s.\nconst (\n", levelNames[level])
		at := slices.DeleteFunc(slices.Clone(options), func(n numbered) bool { return n.row.Level != level })
		slices.SortStableFunc(at, func(a, b numbered) int { return a.row.Number - b.row.Number })
		for _, n := range at {
			number := fmt.Sprint(n.row.Number)
			if n.row.Foreign() {
				number = fmt.Sprintf("%#x", n.row.Number)
			}
			fmt.Fprintf(&b, "%s = %s\n", n.row.Name, number)
		}
		b.WriteString(")\n")
	}
	return b.String()
}

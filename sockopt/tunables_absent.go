package sockopt

import (
	"fmt"
	"slices"
	"strings"
)

// An Absence is a group of names that Linux has under /proc/sys/net and a sandbox
// does not, as there is nothing that they could be about.
type Absence struct {
	Names []string
	Why   string
}

// AbsentTunables are the names of net.ipv4.tcp_*, ip_* and udp_* and of net.core
// that are in no table of tunables.
var AbsentTunables = []Absence{
	{[]string{"net.ipv4.tcp_child_ehash_entries", "net.ipv4.udp_child_hash_entries", "net.ipv4.udp_hash_entries"}, "tables grow with what is in them, and each stack has its own"},
	{[]string{"net.ipv4.tcp_early_demux", "net.ipv4.udp_early_demux", "net.ipv4.ip_early_demux"}, "the socket of a packet is looked for once; there is no early and no late"},
	{[]string{"net.ipv4.tcp_fwmark_accept"}, "frames that reach a sandbox have no mark"},
	{[]string{"net.ipv4.tcp_l3mdev_accept", "net.ipv4.udp_l3mdev_accept"}, "there are no VRFs in a sandbox"},
	{[]string{"net.ipv4.tcp_plb_enabled", "net.ipv4.tcp_plb_cong_thresh", "net.ipv4.tcp_plb_idle_rehash_rounds", "net.ipv4.tcp_plb_rehash_rounds", "net.ipv4.tcp_plb_suspend_rto_sec", "net.core.txrehash"},
		"a connection cannot be moved to another path: its packets carry no flow label"},
	{[]string{"net.ipv4.udp_mem", "net.ipv4.udp_rmem_min", "net.ipv4.udp_wmem_min"}, "a datagram socket holds what its own buffer may, and there are no more sockets than descriptors; tcp_mem is for TCP alone"},
	{[]string{"net.ipv4.ip_dynaddr"}, "a sandbox keeps its addresses"},
	{[]string{"net.ipv4.ip_forward", "net.ipv4.ip_forward_update_priority", "net.ipv4.ip_forward_use_pmtu"}, "a sandbox is no router"},
	{[]string{"net.core.busy_poll", "net.core.busy_read", "net.core.dev_weight", "net.core.dev_weight_rx_bias", "net.core.dev_weight_tx_bias", "net.core.netdev_budget", "net.core.netdev_budget_usecs", "net.core.netdev_max_backlog", "net.core.netdev_tstamp_prequeue", "net.core.gro_normal_batch"},
		"how the host's kernel takes turns with its devices; frames for a sandbox wait in the queue of its TAP until the engine reads them"},
	{[]string{"net.core.flow_limit_cpu_bitmap", "net.core.flow_limit_table_len", "net.core.rps_default_mask", "net.core.rps_sock_flow_entries", "net.core.netdev_rss_key", "net.core.skb_defer_max"}, "how the host's kernel spreads packets over processors; a sandbox has one"},
	{[]string{"net.core.default_qdisc"}, "a sandbox has no queueing of packets; its bandwidth is in the configuration"},
	{[]string{"net.core.high_order_alloc_disable", "net.core.max_skb_frags", "net.core.mem_pcpu_rsv"}, "how the host's kernel allocates packets; the engine has buffers of its own"},
	{[]string{"net.core.message_burst", "net.core.message_cost", "net.core.warnings"}, "the host kernel's messages; what the engine logs has a limit of its own"},
	{[]string{"net.core.tstamp_allow_data"}, "times of sending, which it is about, are not to be had"},
	{[]string{"net.core.xfrm_acq_expires", "net.core.xfrm_aevent_etime", "net.core.xfrm_aevent_rseqth", "net.core.xfrm_larval_drop"}, "there is no IPsec in a sandbox"},
	{[]string{"net.core.bpf_jit_enable", "net.core.bpf_jit_harden", "net.core.bpf_jit_kallsyms", "net.core.bpf_jit_limit", "net.core.devconf_inherit_init_net", "net.core.fb_tunnels_only_for_init_net", "net.core.netdev_unregister_timeout_secs"}, "of the host, not of a stack"},
}

// unknownTunable is the error of a name that no tunable has.
func unknownTunable(name string) error {
	if why := absence(name); why != "" {
		return fmt.Errorf("tunable %q: a sandbox does not have it: %s; accepted: the names of docs/tunables.md", name, why)
	}
	return fmt.Errorf("tunable %q is unknown; accepted: the names of docs/tunables.md", name)
}

// absence is why a sandbox does not have the name; "": it is not one of Linux's.
func absence(name string) string {
	for _, a := range AbsentTunables {
		if slices.ContainsFunc(a.Names, func(n string) bool { return n == name || n[strings.LastIndexByte(n, '.')+1:] == name }) {
			return a.Why
		}
	}
	return ""
}

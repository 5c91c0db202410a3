package hostlink

import "golang.org/x/sys/unix"

// CutsDatagrams reports whether links of this kernel take several UDP datagrams in one
// frame and cut them: TAP devices and packet sockets of Linux 6.2 and later do
// (include/linux/virtio_net.h, virtio_net_hdr_to_skb), older ones refuse the frame.
func CutsDatagrams() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	return releaseAtLeast(unix.ByteSliceToString(u.Release[:]), 6, 2)
}

// releaseAtLeast compares the two numbers that a kernel's release begins with. A
// release that is none is old.
func releaseAtLeast(release string, major, minor int) bool {
	have, rest := leadingNumber(release)
	if rest == "" || rest[0] != '.' || have < major {
		return false
	}
	if have > major {
		return true
	}
	have, _ = leadingNumber(rest[1:])
	return have >= minor
}

// leadingNumber splits the decimal number off with which s begins; -1: there is none.
func leadingNumber(s string) (n int, rest string) {
	n = -1
	for len(s) > 0 && s[0] >= '0' && s[0] <= '9' && n < 1<<20 {
		n, s = max(n, 0)*10+int(s[0]-'0'), s[1:]
	}
	return n, s
}

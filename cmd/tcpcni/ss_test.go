package main

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/engine"
)

// TestSocketTable holds the columns together over the whole listing: lines about
// connections and engines that do not answer come between the rows.
func TestSocketTable(t *testing.T) {
	tcp := func(local, peer string, mss uint32) engine.SocketInfo {
		return engine.SocketInfo{Netid: "tcp", State: "ESTAB", Local: netip.MustParseAddrPort(local), Peer: netip.MustParseAddrPort(peer),
			MSS: mss, Congestion: "cubic", RTOus: 200000, Inode: 7}
	}
	head := []string{"Netid", "State", "Recv-Q", "Send-Q", "Local", "Peer", "Process"}
	for _, named := range []bool{false, true} {
		table := socketTable{named: named}
		table.add("Sandbox", "", "Netid", "State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port", "Process")
		table.addSockets("a", []engine.SocketInfo{
			tcp("10.0.0.1:80", "10.0.0.2:1", 1460),
			tcp("[fd00:1234:5678:9abc::1]:40000", "[fd00:1234:5678:9abc::2]:443", 1440),
			{Netid: "udp", State: "UNCONN", RecvQ: 123456789},
		}, map[uint64]string{7: `users:(("web",pid=1,fd=3))`}, true)
		if named {
			table.addError("a-much-longer-name", errors.New("no\n\tanswer"))
		}
		table.addSockets("b", []engine.SocketInfo{tcp("10.0.0.1:8080", "10.0.0.3:2", 1460), {Netid: "udp", State: "UNCONN", Inline: true}}, nil, true)
		var out bytes.Buffer
		if err := table.print(&out); err != nil {
			t.Fatal(err)
		}

		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		infos, rows := 0, 0
		for i, line := range lines[1:] {
			if strings.HasPrefix(line, "\t") {
				infos++
				if want := "\t cubic rto:200 mss:14"; !strings.HasPrefix(line, want) || strings.Contains(lines[i], "UNCONN") {
					t.Errorf("line %q after %q", line, lines[i])
				}
				continue
			}
			rows++
			for _, h := range head {
				at := strings.Index(lines[0], h)
				if at > 0 && at <= len(line) && line[at-1] != ' ' {
					t.Errorf("no column %q at %d of %q", h, at, line)
				}
				if h == "Local" && !strings.Contains(line, "answer") && (line[at] == ' ' || !strings.Contains(line[at:], ":")) {
					t.Errorf("no address at %d of %q", at, line)
				}
			}
			if strings.Contains(line, "answer") && (strings.Index(line, "no answer") != strings.Index(lines[0], "Process") || !strings.HasPrefix(line, "a-much")) {
				t.Errorf("%q", line)
			}
		}
		want := 5
		if named {
			want++
		}
		if infos != 3 || rows != want {
			t.Errorf("%d rows, %d lines between them:\n%s", rows, infos, &out)
		}
	}
}

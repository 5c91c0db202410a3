package main

// Sockets as ss(8) prints them.

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/plugin"
)

func ssCommand() *cobra.Command {
	var info bool
	cmd := &cobra.Command{
		Use:   "ss [flags] [NAME]",
		Short: "Show the sockets of a sandbox, or of all",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needRoot("ss"); err != nil {
				return err
			}
			stateDir, err := plugin.StateDir()
			if err != nil {
				return err
			}
			all, err := allTargets(stateDir)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if all, err = named(all, args[0]); err != nil {
					return err
				}
			}
			return showSockets(cmd.OutOrStdout(), all, len(args) == 0, info)
		},
	}
	cmd.Flags().BoolVarP(&info, "info", "i", false, "show the state of each TCP connection, too")
	return cmd
}

// showSockets prints one table. An engine that does not answer is an error for
// the one who asked for it by name, a line of its own among all.
func showSockets(out io.Writer, targets []target, all, info bool) error {
	table := socketTable{named: all}
	table.add("Sandbox", "", "Netid", "State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port", "Process")
	for _, t := range targets {
		sockets, err := t.sockets()
		if err != nil && !all {
			return fmt.Errorf("sandbox %q: %w", t.name, err)
		}
		if err != nil {
			table.addError(t.name, err)
			continue
		}
		table.addSockets(t.name, sockets, t.socketUsers(sockets), info)
	}
	return table.print(out)
}

// A socketTable is what ss prints. Its columns are as wide as they have to be for
// all rows, whatever is printed between them.
type socketTable struct {
	named bool // with a column for the sandbox
	rows  bytes.Buffer
	below []string // what follows each row on a line of its own, "" for nothing
}

func (t *socketTable) add(name, below string, cells ...string) {
	if t.named {
		cells = append([]string{name}, cells...)
	}
	// A tab or the end of a line inside a cell would be the end of the cell.
	for i, c := range cells {
		cells[i] = strings.Join(strings.Fields(c), " ")
	}
	t.rows.WriteString(strings.Join(cells, "\t") + "\n")
	t.below = append(t.below, below)
}

// addError says in the last column, which may have any width, why a sandbox has
// no rows.
func (t *socketTable) addError(name string, err error) {
	t.add(name, "", "", "", "", "", "", "", err.Error())
}

func (t *socketTable) addSockets(name string, sockets []engine.SocketInfo, users map[uint64]string, info bool) {
	for _, s := range sockets {
		user := users[s.Inode]
		if s.Inline {
			user = "inline"
		}
		below := ""
		if info {
			below = ssInfo(&s)
		}
		t.add(name, below, s.Netid, s.State, strconv.Itoa(s.RecvQ), strconv.Itoa(s.SendQ),
			ssAddr(s.Local, &s), ssAddr(s.Peer, &s), user)
	}
}

// print aligns the rows without the lines between them: a line without cells
// would end the columns of a tabwriter.
func (t *socketTable) print(out io.Writer) error {
	var aligned bytes.Buffer
	w := tabwriter.NewWriter(&aligned, 0, 0, 1, ' ', 0)
	_, _ = w.Write(t.rows.Bytes())
	if err := w.Flush(); err != nil {
		return err
	}
	var text bytes.Buffer
	for _, below := range t.below {
		row, err := aligned.ReadString('\n')
		if err != nil {
			return err
		}
		text.WriteString(row)
		if below != "" {
			text.WriteString("\t " + below + "\n")
		}
	}
	_, err := out.Write(text.Bytes())
	return err
}

func (t *target) sockets() ([]engine.SocketInfo, error) {
	c, err := engine.Dial(t.sandbox.ControlPath())
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	return c.Sockets()
}

// ssAddr prints an address as ss -n does: no port is a star, and so is the
// wildcard of a socket that takes both families.
func ssAddr(a netip.AddrPort, s *engine.SocketInfo) string {
	host := "0.0.0.0"
	switch {
	case a.Addr().IsValid() && !a.Addr().IsUnspecified():
		host = a.Addr().String()
		if a.Addr().Is6() {
			host = "[" + host + "]"
		}
	case s.V6 && s.V6Only:
		host = "[::]"
	case s.V6:
		host = "*"
	}
	port := "*"
	if a.Port() != 0 {
		port = strconv.Itoa(int(a.Port()))
	}
	return host + ":" + port
}

// ssInfo is the line that ss -i has for a connection; times are in milliseconds.
func ssInfo(s *engine.SocketInfo) string {
	if s.Netid != "tcp" || s.MSS == 0 {
		return ""
	}
	ms := func(us uint32) string { return strconv.FormatFloat(float64(us)/1000, 'f', -1, 64) }
	words := []string{s.Congestion, "rto:" + ms(s.RTOus)}
	if s.RTTus != 0 {
		words = append(words, "rtt:"+ms(s.RTTus)+"/"+ms(s.RTTVarus))
	}
	words = append(words, fmt.Sprintf("mss:%d", s.MSS), fmt.Sprintf("cwnd:%d", s.Cwnd))
	if s.Ssthresh != 0 && s.Ssthresh < 1<<30 {
		words = append(words, fmt.Sprintf("ssthresh:%d", s.Ssthresh))
	}
	if s.Retrans != 0 {
		words = append(words, fmt.Sprintf("retrans:0/%d", s.Retrans))
	}
	return strings.Join(words, " ")
}

// socketUsers finds who holds the sockets, by inode, as ss -p prints it. Only
// the sandbox's processes are looked at.
func (t *target) socketUsers(sockets []engine.SocketInfo) map[uint64]string {
	wanted := make(map[string]uint64)
	for _, s := range sockets {
		if s.Inode != 0 {
			wanted[fmt.Sprintf("socket:[%d]", s.Inode)] = s.Inode
		}
	}
	users := make(map[uint64][]string)
	ids, err := process.InNetNS(t.netNSID())
	if err != nil || len(wanted) == 0 {
		return nil
	}
	for _, id := range ids {
		dir := filepath.Join("/proc", strconv.Itoa(id.PID))
		comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
		fds, _ := os.ReadDir(filepath.Join(dir, "fd"))
		for _, fd := range fds {
			link, _ := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
			if ino, ok := wanted[link]; ok {
				users[ino] = append(users[ino], fmt.Sprintf("(%q,pid=%d,fd=%s)", strings.TrimSpace(string(comm)), id.PID, fd.Name()))
			}
		}
	}
	text := make(map[uint64]string, len(users))
	for ino, u := range users {
		text[ino] = "users:(" + strings.Join(u, ",") + ")"
	}
	return text
}

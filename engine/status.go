package engine

import (
	"os"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/sockopt"
)

func (e *engine) status() *Status {
	st := &Status{
		Name:      e.cfg.Name,
		PID:       os.Getpid(),
		UptimeMS:  (hostlink.Now() - e.started).Milliseconds(),
		Profile:   e.cfg.Profile,
		Addrs:     e.cfg.Addrs,
		Listeners: e.nOns,
		Sockets:   e.socks.live,
		Calls:     e.calls,
		Counters:  map[string]uint64{},
		Poll:      e.profile.PollShut,
		Inline:    e.inline.status(len(e.mirrors.byAddr), len(e.cross.byAddr), e.cfg.RefusePlain),
	}
	for _, p := range e.ports {
		s := p.Stats()
		st.Links = append(st.Links, LinkStatus{
			Name: p.name, Kind: p.kind,
			RxFrames: s.RxFrames, RxBytes: s.RxBytes, TxFrames: s.TxFrames, TxBytes: s.TxBytes,
		})
	}
	st.count(e)
	if e.shards != nil {
		for _, sh := range e.shards.list {
			st.addShard(sh)
		}
	}
	return st
}

// count adds what a loop's stack has counted.
func (st *Status) count(e *engine) {
	for name, value := range e.stack.All {
		if value != 0 {
			st.Counters[name] += value
		}
	}
}

// addShard adds what a shard did to what the main loop did.
func (st *Status) addShard(sh *shard) {
	st.count(sh.eng)
	up, s := &st.Links[0], sh.eng.ports[0].Stats()
	up.RxFrames += s.RxFrames
	up.RxBytes += s.RxBytes
	up.TxFrames += s.TxFrames
	up.TxBytes += s.TxBytes
	sh.moved.Connections = sh.eng.stack.TCP().Guests()
	st.Shards = append(st.Shards, sh.moved)
}

// sockets lists what ss(8) lists: listeners, connections in every state, and
// bound datagram sockets.
func (e *engine) sockets() []SocketInfo {
	tcpHeld := make(map[*tcp.Socket]*stream)
	udpHeld := make(map[*udp.Socket]*dgram)
	for _, s := range e.socks.byFD {
		switch {
		case s == nil:
		case s.stream != nil:
			tcpHeld[s.stream.tcp] = s.stream
		default:
			udpHeld[s.dgram.udp] = s.dgram
		}
	}
	spliced := e.spliced()
	list := []SocketInfo{}
	for s := range e.stack.TCP().Sockets {
		info := tcpInfo(s, tcpHeld[s])
		info.Inline = spliced[s]
		list = append(list, info)
	}
	for s := range e.stack.UDP().Sockets {
		list = append(list, udpInfo(s, udpHeld[s]))
	}
	return list
}

func tcpInfo(t *tcp.Socket, s *stream) SocketInfo {
	var in sockopt.TCPInfo
	t.Info(&in)
	domain, _, _ := t.Kind()
	info := SocketInfo{
		Netid: "tcp", State: t.State().String(), V6: domain == sockopt.AFInet6, V6Only: t.Options().V6Only,
		Local: t.LocalAddr(), Peer: t.RemoteAddr(),
		RecvQ: t.Unread(), SendQ: inFlight(&in) + int(in.NotSentBytes),
	}
	if s != nil {
		info.UID = s.uid
		if s.unborn == nil || s.unborn.child != s { // else no program has it
			info.Inode = s.inode
		}
		if s.fd >= 0 {
			info.SendQ += s.fromProgram()
		}
	}
	if t.State() == tcp.StateListen {
		info.RecvQ, info.SendQ = t.AcceptQueueLen(), int(in.Sacked)
		return info
	}
	info.Congestion = t.Options().Congestion
	info.RTTus, info.RTTVarus, info.RTOus = in.RTT, in.RTTVar, in.RTO
	info.Cwnd, info.Ssthresh, info.MSS = in.SndCwnd, in.SndSsthresh, in.SndMSS
	info.Retrans = in.TotalRetrans
	return info
}

func udpInfo(u *udp.Socket, d *dgram) SocketInfo {
	domain, _, _ := u.Kind()
	info := SocketInfo{
		Netid: "udp", State: "UNCONN", V6: domain == sockopt.AFInet6, V6Only: u.Options().V6Only,
		Local: u.LocalAddr(), Peer: u.RemoteAddr(),
	}
	if u.Connected() {
		info.State = "ESTAB"
	}
	if d != nil {
		info.UID, info.Inode = d.uid, d.inode
	}
	return info
}

// inFlight is what was sent and is not acknowledged, in bytes.
func inFlight(in *sockopt.TCPInfo) int {
	sent, done := in.BytesSent-in.BytesRetrans, in.BytesAcked
	if done > sent {
		return 0 // the SYN counts among the acknowledged
	}
	return int(sent - done)
}

// queuedOut is what the program has written and the peer has not acknowledged,
// and the part of it that was not sent, in bytes.
func (s *stream) queuedOut() (unacked, unsent int) {
	var in sockopt.TCPInfo
	s.tcp.Info(&in)
	unsent = int(in.NotSentBytes)
	if s.fd >= 0 && s.phase == phaseConnected {
		unsent += s.fromProgram()
	}
	return inFlight(&in) + unsent, unsent
}

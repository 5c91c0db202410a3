package hostlink

import (
	"errors"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// TestTAPQueues has the kernel answer where a flow was last sent from, and not in a
// queue that is disabled. It notes where a frame came from when that has been
// received (tun_get_user), so an answer that is made on the way still goes to where
// the one before came from.
func TestTAPQueues(t *testing.T) {
	ns := newNetNS(t)
	cfg := testTAPConfig(ns)
	cfg.MultiQueue = true
	var queues [2]*TAP
	var peers [2]*peer
	for i := range queues {
		var err error
		if queues[i], err = OpenTAP(cfg); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = queues[i].Close() }()
		peers[i] = newPeer(t, queues[i])
		if i == 0 {
			addAddress(t, ns, "tap0")
		}
	}
	// So that the kernel need not ask for the peer's address, in whichever queue.
	tell := &wire.ARP{Op: wire.ARPRequest, SenderMAC: wire.MAC(peerMAC), SenderIP: peerIP, TargetIP: kernelIP}
	peers[0].question(wire.EtherARP, tell.AppendTo(nil))

	echo := []byte{8, 0, 0, 0, 0, 1, 0, 1}
	sum := wire.Checksum(echo, 0)
	echo[2], echo[3] = byte(sum>>8), byte(sum)
	ask := func(from, at int) {
		t.Helper()
		peers[from].question(wire.EtherIPv4, ipv4(wire.ProtoICMP4, echo, 0))
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
			for i := range queues {
				f, err := queues[i].ReadFrame(make([]byte, FrameRoom))
				if errors.Is(err, ErrAgain) {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if b := f.Data; b[12] == 8 && b[13] == 0 && b[ethLen+9] == wire.ProtoICMP4 {
					if at >= 0 && i != at {
						t.Errorf("asked by queue %d, answered in %d, want %d", from, i, at)
					}
					return
				}
			}
		}
		t.Fatal("no answer")
	}
	ask(0, -1)
	ask(0, 0)
	ask(1, 0)
	ask(1, 1)
	ask(0, 1)
	ask(0, 0)
	ask(1, 0)
	if err := queues[1].EnableQueue(false); err != nil {
		t.Fatal(err)
	}
	if err := queues[1].EnableQueue(false); !errors.Is(err, ErrQueue) {
		t.Errorf("disabled twice: %v", err)
	}
	ask(1, 0)
	if err := queues[1].EnableQueue(true); err != nil {
		t.Fatal(err)
	}
	ask(1, -1)
	ask(1, 1)

	one := testTAPConfig(ns)
	if _, err := OpenTAP(one); !errors.Is(err, ErrNameTaken) {
		t.Errorf("a device of several queues opened as one of one: %v", err)
	}
}

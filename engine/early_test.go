package engine

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/buf"
)

// goneLink is a packet socket whose device was deleted.
type goneLink struct {
	hostlink.Link
	said bool
}

func (l *goneLink) FD() int { return -1 }

func (l *goneLink) ReadFrame([]byte) (hostlink.RxFrame, error) {
	if l.said {
		return hostlink.RxFrame{}, hostlink.ErrAgain
	}
	l.said = true
	return hostlink.RxFrame{}, hostlink.ErrGone
}

// The end of a link is noticed also by the loop that looks for an early frame.
func TestEarlyFrameOfALinkThatIsGone(t *testing.T) {
	poll, err := hostlink.NewPoller(1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = poll.Close() }()
	var log bytes.Buffer
	e := &engine{poll: poll, log: slog.New(slog.NewTextHandler(&log, nil)), frame: new(buf.Pool).Get(buf.FrameSize)}
	p := &port{Link: &goneLink{}, name: "eth0"}
	e.ports = []*port{p}
	if e.takeEarly() || e.ahead.there {
		t.Error("a frame of a link that is gone")
	}
	e.input(p)
	if !p.gone || bytes.Count(log.Bytes(), []byte("link is gone")) != 1 {
		t.Errorf("gone: %v, log: %q", p.gone, log.String())
	}
}

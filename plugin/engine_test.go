package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink"
)

// failEngine names the file in the state directory that keeps engines from
// starting.
const failEngine = "fail-engine"

// standIn is the engine of these tests: it holds the devices open and answers on
// the control socket, and knows nothing of TCP. The real one wants a program
// without cgo, which a test under the race detector is not.
func standIn(config string) error {
	if _, err := os.Stat(filepath.Join(filepath.Dir(config), "../..", failEngine)); err == nil {
		return errors.New("engine told to fail")
	}
	cfg, err := engine.LoadConfig(config)
	if err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	for _, l := range []engine.LinkSpec{cfg.Uplink, cfg.Inner} {
		if l.Kind == engine.LinkPacket {
			if _, err := hostlink.OpenPacket(l.Ifname, l.NetNS); err != nil {
				return err
			}
			continue
		}
		if _, err := hostlink.OpenTAP(hostlink.TAPConfig{Name: l.Ifname, NetNS: l.NetNS, AsIs: true}); err != nil {
			return err
		}
	}
	listener, err := hostlink.ListenControl(cfg.ControlPath)
	if err != nil {
		return err
	}
	ready := os.NewFile(readyFD, "ready")
	if _, err := ready.WriteString(Ready); err != nil {
		return err
	}
	_ = ready.Close()
	for {
		conn, err := hostlink.AcceptControl(listener)
		if err == nil {
			go answer(conn, &cfg)
		}
		time.Sleep(time.Millisecond)
	}
}

func answer(conn *hostlink.ControlConn, cfg *engine.Config) {
	for {
		line, err := conn.ReadLine()
		if errors.Is(err, hostlink.ErrAgain) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			return
		}
		var q struct{ Op string }
		_ = json.Unmarshal(line, &q)
		if q.Op == "stop" {
			endNow()
		}
		_ = conn.SendLine(fmt.Appendf(nil, `{"status":{"name":%q,"pid":%d}}`, cfg.Name, os.Getpid()), -1)
	}
}

// endNow ends the process without the second that a race detector's exit takes.
func endNow() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	fmt.Fprintln(os.Stderr, "still here:", err)
}

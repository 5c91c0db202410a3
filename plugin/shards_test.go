package plugin

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/test/needroot"
)

// TestClearUplinkOfSeveralQueues removes a device that stayed, and not one that
// somebody is attached to.
func TestClearUplinkOfSeveralQueues(t *testing.T) {
	needroot.Check(t, "make network namespaces and TAP devices")
	ns := filepath.Join(t.TempDir(), "ns")
	if err := hostlink.NewNetNS(ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hostlink.DeleteNetNS(ns) })
	err := hostlink.InNetNS(ns, func() error {
		tap, err := hostlink.OpenTAP(hostlink.TAPConfig{Name: "tcp0", Persist: true, MultiQueue: true, Up: true})
		if err != nil {
			return err
		}
		if err := clearUplink("tcp0"); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("a device that is in use: %v", err)
		}
		if err := tap.Close(); err != nil {
			return err
		}
		if err := clearUplink("tcp0"); err != nil {
			t.Errorf("a device that stayed: %v", err)
		}
		if _, err := netlink.LinkByName("tcp0"); err == nil {
			t.Error("it is there still")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

package hostlink

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestNetNSLifeCycle(t *testing.T) {
	ns := newNetNS(t)
	if err := NewNetNS(ns); !errors.Is(err, os.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	var inside []net.Interface
	err := InNetNS(ns, func() (err error) {
		if same, err := SameNetNS("", ns); err != nil || !same {
			t.Errorf("inside: same %v, %v", same, err)
		}
		inside, err = net.Interfaces()
		return err
	})
	if err != nil || len(inside) != 1 || inside[0].Name != "lo" {
		t.Errorf("a new namespace holds %v, %v", inside, err)
	}
	if same, err := SameNetNS("", ns); err != nil || same {
		t.Errorf("outside: same %v, %v", same, err)
	}
	for range 2 {
		if err := DeleteNetNS(ns); err != nil {
			t.Error(err)
		}
	}
	if err := InNetNS(ns, func() error { return nil }); err == nil || !strings.Contains(err.Error(), ns) {
		t.Errorf("entered what is deleted: %v", err)
	}
}

func TestInNetNSReturnsWhatItsFunctionReturns(t *testing.T) {
	ns := newNetNS(t)
	want := errors.New("this one")
	if err := InNetNS(ns, func() error { return want }); !errors.Is(err, want) {
		t.Errorf("%v", err)
	}
	if err := InNetNS("", func() error { return want }); !errors.Is(err, want) {
		t.Errorf("%v", err)
	}
	// A test's t.Fatal inside must not hang the caller.
	if err := InNetNS(ns, func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("an ended goroutine counts as success")
	}
}

func TestNewNetNSLeavesNothingBehindWhenItFails(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may make namespaces")
	}
	path := filepath.Join(t.TempDir(), "ns")
	if err := NewNetNS(path); err == nil {
		t.Error("made a namespace without privilege")
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file stayed: %v", err)
	}
}

package main

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/tcpcni/tcpcni/engine"
)

func TestSysctlKeys(t *testing.T) {
	set, get, err := sysctlKeys([]string{"tcp_sack", "tcp_rmem=4096 8192 16384", " tcp_ecn = 1 "})
	want := map[string]string{"tcp_rmem": "4096 8192 16384", "tcp_ecn": "1"}
	if err != nil || !reflect.DeepEqual(set, want) || !reflect.DeepEqual(get, []string{"tcp_sack", "tcp_rmem", "tcp_ecn"}) {
		t.Errorf("%v %v %v", set, get, err)
	}
	for _, args := range [][]string{{"=1"}, {""}, {"a=1", "a=2"}} {
		if _, _, err := sysctlKeys(args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestPrintTunables(t *testing.T) {
	list := []engine.TunableValue{{Name: "a.b", Value: "1 2"}, {Name: "c", Value: ""}}
	for values, want := range map[bool]string{false: "a.b = 1 2\nc = \n", true: "1 2\n\n"} {
		var b bytes.Buffer
		if err := printTunables(&b, list, values); err != nil || b.String() != want {
			t.Errorf("%q, %v", b.String(), err)
		}
	}
}

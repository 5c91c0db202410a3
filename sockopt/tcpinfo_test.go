package sockopt

import (
	"encoding/binary"
	"reflect"
	"testing"
)

// Each field is set alone; its value must appear at the offset that the C
// compiler gives the field of linux/tcp.h and nowhere else.
func TestTCPInfoLayout(t *testing.T) {
	offsets := map[string]int{
		"State": 0, "CAState": 1, "Retransmits": 2, "Probes": 3, "Backoff": 4, "Options": 5,
		"RTO": 8, "ATO": 12, "SndMSS": 16, "RcvMSS": 20, "Unacked": 24, "Sacked": 28, "Lost": 32, "Retrans": 36, "Fackets": 40,
		"LastDataSent": 44, "LastAckSent": 48, "LastDataRecv": 52, "LastAckRecv": 56, "PMTU": 60, "RcvSsthresh": 64, "RTT": 68, "RTTVar": 72,
		"SndSsthresh": 76, "SndCwnd": 80, "AdvMSS": 84, "Reordering": 88, "RcvRTT": 92, "RcvSpace": 96, "TotalRetrans": 100,
		"PacingRate": 104, "MaxPacingRate": 112, "BytesAcked": 120, "BytesReceived": 128, "SegsOut": 136, "SegsIn": 140,
		"NotSentBytes": 144, "MinRTT": 148, "DataSegsIn": 152, "DataSegsOut": 156, "DeliveryRate": 160, "BusyTime": 168, "RwndLimited": 176,
		"SndBufLimited": 184, "Delivered": 192, "DeliveredCE": 196, "BytesSent": 200, "BytesRetrans": 208, "DSACKDups": 216, "ReordSeen": 220,
		"RcvOOOPack": 224, "SndWnd": 228, "RcvWnd": 232, "Rehash": 236, "TotalRTO": 240, "TotalRTORecoveries": 242, "TotalRTOTime": 244,
		"ReceivedCE": 248, "DeliveredE1Bytes": 252, "DeliveredE0Bytes": 256, "DeliveredCEBytes": 260, "ReceivedE1Bytes": 264, "ReceivedE0Bytes": 268, "ReceivedCEBytes": 272,
		"AccECNFailMode": 276, "AccECNOptSeen": 278,
	}
	typ := reflect.TypeOf(TCPInfo{})
	for i := range typ.NumField() {
		field := typ.Field(i)
		at, listed := offsets[field.Name]
		switch field.Name {
		case "SndWScale", "RcvWScale", "AppLimited": // bit fields, see below
			continue
		case "SndNxt", "RcvNxt", "CwndBytes", "SsthreshBytes", "ZeroWindows": // of FreeBSD
			continue
		}
		if !listed {
			t.Errorf("%s is not compared", field.Name)
			continue
		}
		var info TCPInfo
		reflect.ValueOf(&info).Elem().Field(i).SetUint(0x5a)
		b := info.AppendTo(nil)
		if len(b) != TCPInfoSize {
			t.Fatalf("%d bytes", len(b))
		}
		low := at // the byte of the lowest value
		if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
			low += int(field.Type.Size()) - 1
		}
		for j, v := range b {
			if (j == low) != (v != 0) {
				t.Errorf("%s: byte %d is %#x", field.Name, j, v)
			}
		}
		delete(offsets, field.Name)
	}
	if len(offsets) != 0 {
		t.Errorf("no such fields: %v", offsets)
	}
	b := (&TCPInfo{SndWScale: 7, RcvWScale: 9, AppLimited: true}).AppendTo(nil)
	if b[6] != 0x97 || b[7] != 1 {
		t.Errorf("the bit fields are %#x %#x", b[6], b[7])
	}
}

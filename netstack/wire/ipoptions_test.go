package wire

import (
	"net/netip"
	"testing"
)

// TestReceivedOptions: what the destination enters, and what an answer has of it.
func TestReceivedOptions(t *testing.T) {
	self := netip.MustParseAddr("10.87.0.2")
	local := func(a netip.Addr) bool { return a == self }
	me := "\x0a\x57\x00\x02"
	for _, c := range []struct{ name, came, want, echo string }{
		{"a record with room", "\x07\x0b\x04" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00", "\x07\x0b\x08" + me + "\x00\x00\x00\x00" + "\x00", "\x07\x0b\x08" + me + "\x00\x00\x00\x00"},
		{"a full one", "\x07\x07\x08\x01\x02\x03\x04\x00", "\x07\x07\x08\x01\x02\x03\x04\x00", "\x07\x07\x08\x01\x02\x03\x04"},
		{"times alone", "\x44\x08\x05\x00\x00\x00\x00\x00", "\x44\x08\x09\x00\x80\x00\x00\x05", "\x44\x08\x09\x00\x80\x00\x00\x05"},
		{"times and addresses", "\x44\x0c\x05\x01" + "\x00\x00\x00\x00\x00\x00\x00\x00", "\x44\x0c\x0d\x01" + me + "\x80\x00\x00\x05", "\x44\x0c\x0d\x01" + me + "\x80\x00\x00\x05"},
		{"a time of this host", "\x44\x0c\x05\x03" + me + "\x00\x00\x00\x00", "\x44\x0c\x0d\x03" + me + "\x80\x00\x00\x05", "\x44\x0c\x0d\x03" + me + "\x80\x00\x00\x05"},
		{"a time of another", "\x44\x0c\x05\x03" + "\x01\x02\x03\x04\x00\x00\x00\x00", "\x44\x0c\x05\x03" + "\x01\x02\x03\x04\x00\x00\x00\x00", "\x44\x0c\x05\x03" + "\x01\x02\x03\x04\x00\x00\x00\x00"},
		{"no room for a time", "\x44\x08\x09\x20\x01\x02\x03\x04", "\x44\x08\x09\x30\x01\x02\x03\x04", "\x44\x08\x09\x30\x01\x02\x03\x04"},
		{"as often as can be said", "\x44\x08\x09\xf0\x01\x02\x03\x04", "\x44\x08\x09\xf0\x01\x02\x03\x04", "\x44\x08\x09\xf0\x01\x02\x03\x04"},
		{"others", "\x94\x04\x00\x00\x01\x01\x01\x00", "\x94\x04\x00\x00\x01\x01\x01\x00", ""},
		{"pointers before and behind", "\x07\x07\x00\x01\x02\x03\x04\x44\x04\x00\x00\x00", "\x07\x07\x00\x01\x02\x03\x04\x44\x04\x00\x00\x00", "\x07\x07\x00\x01\x02\x03\x04\x44\x04\x00\x00"},
		{"a length too far", "\x07\x27\x04\x00", "\x07\x27\x04\x00", ""},
	} {
		came := []byte(c.came)
		got := ReceivedOptions(came, self, 5, local)
		if string(got) != c.want || string(came) != c.came {
			t.Errorf("%s: %x, want %x; %x came", c.name, got, c.want, came)
		}
		if echo := EchoOptions(got); string(echo) != c.echo {
			t.Errorf("%s: the answer has %x, want %x", c.name, echo, c.echo)
		}
	}
}

// FuzzIPOptions: whatever the bytes, nothing is read or written beyond them.
func FuzzIPOptions(f *testing.F) {
	f.Add([]byte("\x83\x0b\x04\x0a\x57\x00\x09\xcb\x00\x71\x07\x07\x07\x04\x00\x00\x00\x00\x44\x0c\x05\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x44\x28\x05\x03"))
	self := netip.MustParseAddr("10.87.0.2")
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), 40)&^3]
		for _, mine := range []bool{false, true} {
			local := func(netip.Addr) bool { return mine }
			o := NewOutOptions(b, self, local)
			o.Fill(self, 7)
			if o.Len() != len(b) {
				t.Fatalf("%x became %x", b, o.Options)
			}
			got := ReceivedOptions(b, self, 7, local)
			if len(got) != len(b) || len(EchoOptions(got)) > len(b) {
				t.Fatalf("%x became %x, the answer %x", b, got, EchoOptions(got))
			}
			if len(b) > 0 {
				_ = o.Given()
			}
		}
	})
}

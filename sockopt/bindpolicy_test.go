package sockopt

import "testing"

// TestBindPolicyIsTheDefault: a new profile's tunables have the ports of its
// policy, and every policy answers something when ports run out.
func TestBindPolicyIsTheDefault(t *testing.T) {
	for _, name := range ProfileNames() {
		p, err := ProfileByName(name)
		if err != nil {
			t.Fatal(err)
		}
		b, tun := &p.Bind, p.Tunables
		if tun.PortMin != b.PortMin || tun.PortMax != b.PortMax || tun.UnprivilegedPortStart != b.Reserved || b.PortMin == 0 || b.PortMin > b.PortMax {
			t.Errorf("%s: ports %d..%d from %d on, the policy has %d..%d from %d on", name, tun.PortMin, tun.PortMax, tun.UnprivilegedPortStart, b.PortMin, b.PortMax, b.Reserved)
		}
		if b.BindExhausted == 0 || b.ConnectExhausted == 0 || b.DatagramExhausted == 0 || b.PairTaken == 0 || b.MappedV6Only == 0 || b.Multicast6 == 0 {
			t.Errorf("%s: %+v leaves an error out", name, *b)
		}
		if (b.AnonPrivMin != 0) != (p.Name == "illumos" || p.Name == "omnios") {
			t.Errorf("%s: TCP_ANONPRIVBIND chooses from %d on", name, b.AnonPrivMin)
		}
	}
}

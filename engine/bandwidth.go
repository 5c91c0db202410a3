package engine

import (
	"fmt"

	"github.com/tcpcni/tcpcni/hostlink"
)

// Bandwidth limits a sandbox as the CNI convention "bandwidth" has it: ingress
// is what the sandbox receives, egress what it sends. A rate of 0 is no limit.
type Bandwidth struct {
	IngressRate  uint64 `json:"ingressRate,omitempty"`  // bits per second
	IngressBurst uint64 `json:"ingressBurst,omitempty"` // bits that may come at once; 0: what hostlink.Rate makes of it
	EgressRate   uint64 `json:"egressRate,omitempty"`   // bits per second
	EgressBurst  uint64 `json:"egressBurst,omitempty"`  // bits that may leave at once
}

func (b *Bandwidth) rates() (ingress, egress hostlink.Rate) {
	return hostlink.Rate{BitsPerSecond: b.IngressRate, Burst: b.IngressBurst}, hostlink.Rate{BitsPerSecond: b.EgressRate, Burst: b.EgressBurst}
}

// Bounds of a Bandwidth.
const (
	MaxRate  = 1_000_000_000_000_000 // bits per second: 1 Pbit/s
	MaxBurst = 8 * 1 << 32           // bits: 4 GiB, which runtimes give for "any"
)

// Validate checks the numbers. Its errors begin with the field.
func (b *Bandwidth) Validate() error {
	for _, f := range []struct {
		name              string
		rate, burst       uint64
		rateKey, burstKey string
	}{
		{"ingress", b.IngressRate, b.IngressBurst, "ingressRate", "ingressBurst"},
		{"egress", b.EgressRate, b.EgressBurst, "egressRate", "egressBurst"},
	} {
		switch {
		case f.rate > MaxRate:
			return fmt.Errorf("%s: %d: accepted: 0 (no limit) to %d bits per second", f.rateKey, f.rate, uint64(MaxRate))
		case f.burst > MaxBurst:
			return fmt.Errorf("%s: %d: accepted: 0 (by the rate) to %d bits", f.burstKey, f.burst, uint64(MaxBurst))
		case f.rate == 0 && f.burst != 0:
			return fmt.Errorf("%s: %d: accepted: no burst without a rate", f.burstKey, f.burst)
		}
	}
	return nil
}

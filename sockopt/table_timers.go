package sockopt

import (
	"math"
	"time"
)

// timerRows are the limits of a connection's timers (linux/tcp.h, since Linux
// 6.15), and the delay of its segments (5.3). Linux counts in its ticks; here the
// times are exact.
var timerRows = at(protoTCP, TCPOnly, []Row{
	{ID: TxDelay, Name: "TCP_TX_DELAY", Number: 37, Unit: "microseconds", Default: "0", Max: 1<<28 - 1,
		set: rarely(func(r *Rare, v int) { r.TxDelay = int32(v) }), get: rareValue(func(r *Rare) int { return int(r.TxDelay) }),
		Note: "every segment leaves so much later, in order, as over a longer path; Linux needs the queueing discipline fq for it, here it always works"},
	{ID: ThinLinear, Name: "TCP_THIN_LINEAR_TIMEOUTS", Number: 16, Default: "0", Max: 1,
		set: rarely(func(r *Rare, v int) { r.ThinLinear = v != 0 }), get: rareValue(func(r *Rare) int { return truth(r.ThinLinear) }),
		Note: "0 or 1; with fewer than four segments in flight the timeout doubles only from the seventh in a row on; the tunable tcp_thin_linear_timeouts is for all"},
	{ID: ThinDupAck, Name: "TCP_THIN_DUPACK", Number: 17, Default: "0", Max: 1,
		set: func(*call, int) error { return nil }, get: func(*call) (int, error) { return 0, nil },
		Note: "0 or 1; without effect and reads 0, as in Linux since 4.11: what it was for, recovery at the first duplicate, RACK does for every connection"},
	{ID: RTOMax, Name: "TCP_RTO_MAX_MS", Number: 44, Codec: Millis, Unit: "milliseconds", Default: "tcp_rto_max_ms", Min: 1000, Max: 120_000,
		set: rarely(func(r *Rare, v int) { r.RTOMax = time.Duration(v) * time.Millisecond }),
		get: func(c *call) (int, error) {
			return inUnit(c.o.Rare().RTOMax, c.p.Tunables.RTOMax, time.Millisecond), nil
		}},
	{ID: RTOVarMin, Name: "TCP_RTO_MIN_US", Number: 45, Unit: "microseconds", Default: "tcp_rto_min_us", Min: 2000, Max: 200_000,
		set: rarely(func(r *Rare, v int) { r.RTOVarMin = time.Duration(v) * time.Microsecond }),
		get: func(c *call) (int, error) {
			return inUnit(c.o.Rare().RTOVarMin, c.p.Tunables.RTOMin, time.Microsecond), nil
		},
		Note: "the least that the timeout is above the smoothed round trip; counts from the next round trip on"},
	{ID: DelAckMax, Name: "TCP_DELACK_MAX_US", Number: 46, Unit: "microseconds", Default: "200000", Min: 2000, Max: 200_000,
		set: rarely(func(r *Rare, v int) { r.DelAckMax = time.Duration(v) * time.Microsecond }),
		get: func(c *call) (int, error) {
			return inUnit(c.o.Rare().DelAckMax, 200*time.Millisecond, time.Microsecond), nil
		},
		Note: "bounds the delay of acknowledgements"},
})

// inUnit is d, or when it is 0 what holds without it, as an int.
func inUnit(d, otherwise, unit time.Duration) int {
	if d == 0 {
		d = otherwise
	}
	return int(min(d/unit, math.MaxInt32))
}

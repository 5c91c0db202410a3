package tcp

// Function blocks: a connection's way of finding and repairing losses, chosen by
// name as FreeBSD's TCP_FUNCTION_BLK does (tcp(4), tcp_functions(9)).

import "time"

// A stackBlock is one row of the table.
type stackBlock struct {
	name string
	rack bool // RFC 8985; else RFC 6675 with its count of segments
	// paced spreads the window of every algorithm over the round trip.
	paced bool
	// burst bounds what leaves at once while paced, in segments; 0: the rate does.
	burst uint32
}

// stackBlocks is the table. The first row is the default.
var stackBlocks = []stackBlock{
	{name: "default", rack: true},
	{name: "rack", rack: true, paced: true, burst: 40},
	{name: "classic"},
}

func blockByName(name string) *stackBlock {
	for i := range stackBlocks {
		if stackBlocks[i].name == name {
			return &stackBlocks[i]
		}
	}
	return nil
}

// FunctionBlocks lists what SetFunctionBlock may name, the default first.
func FunctionBlocks() []string {
	var names []string
	for i := range stackBlocks {
		names = append(names, stackBlocks[i].name)
	}
	return names
}

// Pacing gains of a paced block, in percent of the window over the round trip:
// slow start needs room to double, congestion avoidance to keep up.
const (
	paceSlowStart = 200
	paceAvoidance = 120
)

// windowRate is the window over the smoothed round trip, in bytes per second.
func (c *conn) windowRate() uint64 {
	if c.srtt == 0 {
		return 0
	}
	gain := uint64(paceAvoidance)
	if c.slowStart() {
		gain = paceSlowStart
	}
	return max(uint64(c.cwnd)*gain/100*uint64(time.Second)/uint64(c.srtt), uint64(c.mss))
}

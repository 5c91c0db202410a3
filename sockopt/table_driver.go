package sockopt

import "github.com/tcpcni/tcpcni/sockopt/errno"

// driverRows are the options about the queues of network cards and about the
// processors that serve them. A sandbox has one engine on one processor, which
// looks at its link by itself: the values are what a program may ask for, and
// there is nothing that they could choose between.
var driverRows = at(SolSocket, AnySocket, []Row{
	{ID: BusyPoll, Name: "SO_BUSY_POLL", Number: 46, Unit: "microseconds", Default: "0", set: setBusyPoll, get: rareValue(func(r *Rare) int { return int(r.BusyPoll) }),
		Note: "kept and inherited: a program waits for the engine, which has no driver's queue to poll; negative is EINVAL"},
	{ID: IncomingCPU, Name: "SO_INCOMING_CPU", Number: 49, Default: "-1", NotInherited: true,
		set:  rarely(func(r *Rare, v int) { r.IncomingCPU = int32(v) + 1 }),
		get:  rareValue(func(r *Rare) int { return int(r.IncomingCPU - 1) }),
		Note: "kept: every packet of a sandbox is handled by the one thread of its engine, so no listener is nearer to it than another"},
	{ID: PreferBusyPoll, Name: "SO_PREFER_BUSY_POLL", Number: 69, Codec: Bool, Default: "0", set: setPreferBusyPoll, get: rareValue(func(r *Rare) int { return truth(r.PreferBusyPoll) }),
		Note: "kept, as SO_BUSY_POLL; switching it on takes CAP_NET_ADMIN"},
	{ID: BusyPollBudget, Name: "SO_BUSY_POLL_BUDGET", Number: 70, Unit: "packets", Access: WriteOnly, set: setBusyPollBudget,
		Note: "0..65535; kept, as SO_BUSY_POLL; more than before takes CAP_NET_ADMIN"},
})

func setBusyPoll(c *call, v int) error {
	if v < 0 {
		return errno.EINVAL
	}
	c.o.SetRare(func(r *Rare) { r.BusyPoll = int32(v) })
	return nil
}

func setPreferBusyPoll(c *call, v int) error {
	if v != 0 && !c.priv.NetAdmin {
		return errno.EPERM
	}
	c.o.SetRare(func(r *Rare) { r.PreferBusyPoll = v != 0 })
	return nil
}

func setBusyPollBudget(c *call, v int) error {
	switch {
	case v > int(c.o.Rare().BusyPollBudget) && !c.priv.NetAdmin:
		return errno.EPERM
	case v < 0 || v > 65535:
		return errno.EINVAL
	}
	c.o.SetRare(func(r *Rare) { r.BusyPollBudget = uint16(v) })
	return nil
}

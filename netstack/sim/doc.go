// Package sim runs protocol layers against each other in virtual time: hosts,
// lines that delay, queue, mark, lose, reorder, duplicate and corrupt by a seed,
// middleboxes, and programs that check what they read. Nothing in it sleeps or
// depends on the machine, so a failing seed fails again.
//
//	w := sim.New(seed)
//	a, b := w.Host("10.0.0.1"), w.Host("10.0.0.2")
//	w.Join(a, b, sim.Way{Delay: 5 * time.Millisecond, Loss: 20})
//	…
//	w.Run(time.Hour, func() bool { return done })
//
// Routes of several lines, which other routes may share, make bottlenecks:
//
//	narrow := w.Line(sim.Way{Rate: 10_000_000, Delay: 20 * time.Millisecond, Queue: 50_000, Mark: 20_000})
//	w.Route(a, c, w.Line(sim.Way{Delay: time.Millisecond}), narrow)
//	w.Route(b, c, w.Line(sim.Way{Delay: 9 * time.Millisecond}), narrow)
//
// Where to find what: world.go time and events, line.go impairments, queue.go
// queues, box.go middleboxes, host.go the network below TCP, program.go owners
// of sockets.
package sim

// Package sim runs protocol layers against each other in virtual time: hosts,
// links that lose, delay, reorder and duplicate by a seed, and programs that
// check what they read. Nothing in it sleeps or depends on the machine, so a
// failing seed fails again.
//
//	w := sim.New(seed)
//	a, b := w.Host("10.0.0.1"), w.Host("10.0.0.2")
//	w.Join(a, b, sim.Way{Delay: 5 * time.Millisecond, Loss: 20})
//	…
//	w.Run(time.Hour, func() bool { return done })
package sim

package ports

import (
	"flag"
	"slices"
	"testing"
)

// whole leaves no case out. It takes minutes.
var whole = flag.Bool("whole", false, "every triple of sockets, also those that say the same as another")

// TestEveryTripleUnderEverySystem has two sockets on the port, whatever they are
// and whether or not they could both have been bound, as options change later,
// and asks for streams and datagrams, by name and by choice. Of cases that differ
// in nothing that a system looks at one is taken, another one each time, and with
// -whole all of them:
//
//   - Users are names: what counts is which of the three sockets are of one user.
//     That is the whole of it and not a choice.
//   - States that are one to a system (kinds): every pair of kinds occurs with
//     everything else, every pair of states with every pair of addresses.
//   - Whose a socket is when the superuser asks, or when the system chooses, where
//     it does not look at that then.
//   - SO_REUSEADDR of who is there, which FreeBSD looks at when a multicast address
//     is asked for.
//
// TestEveryPairUnderEverySystem has all of this with one socket on the port.
func TestEveryTripleUnderEverySystem(t *testing.T) {
	for name, s := range systems {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var count [2]int
			triples(t, s, &count)
			t.Logf("%d refused, %d allowed", count[0], count[1])
			if count[0] == 0 || count[1] == 0 {
				t.Error("one answer never occurs")
			}
		})
	}
}

// owners are the users of the two sockets that are there when user 0 asks, up to
// their names.
var owners = [][2]uint32{{0, 0}, {0, 1}, {1, 0}, {1, 1}, {1, 2}}

// triples runs through them. What is there is in the order of parties, so that
// its index counts through flags, users and states.
func triples(t *testing.T, s system, count *[2]int) {
	wants := parties(s.flags, []uint32{0}, s.users, []string{"bound"})
	claims := claimsOf(wants)
	uids := []uint32{0}
	if s.users {
		uids = []uint32{0, 1, 2}
	}
	held := parties(s.flags, uids, false, everyState)
	kinds := kindsOf(s, held)
	oracle := s.fast(wants, held)
	tables := [2]*Table{NewTable(s.rule, Config{}), NewTable(s.rule, Config{Datagram: true})}
	for i, a := range held {
		for j, b := range held {
			owner := slices.Index(owners, [2]uint32{a.uid, b.uid})
			if owner < 0 || !*whole && !kinds.turn(i, j) {
				continue
			}
			rest := i/(len(everyState)*len(uids)) + j/(len(everyState)*len(uids))*7 // what is not of users and states
			older, newer := b.claim(80), a.claim(80)
			for d, table := range tables {
				table.Share(older)
				table.Share(newer)
				for w, want := range wants {
					for _, choosing := range []bool{false, true} {
						if !*whole && (s.nobody(want, choosing) && owner != (rest+w)%len(owners) || s.spare(want) && !reuses(a, b, w)) {
							continue
						}
						got, may := !table.refused(claims[w], 80, choosing), oracle(w, i, j, d == 1, choosing)
						if got != may {
							t.Fatalf("there are %v; then %v, datagram %v, choosing %v: may bind %v, the oracle says %v", []party{a, b}, want, d == 1, choosing, got, may)
						}
						count[b2i(got)]++
					}
				}
				table.Release(older)
				table.Release(newer)
				// The next table gets them as they were.
				older.State, newer.State = stateNames[b.state], stateNames[a.state]
			}
		}
	}
}

// nobody reports whether the system does not look at whose the sockets are.
func (s system) nobody(want party, choosing bool) bool {
	return s.users && (want.super || choosing && !s.choosersMatter)
}

// spare reports whether the system does not look at SO_REUSEADDR of who is there.
func (s system) spare(want party) bool {
	return s.rule == &FreeBSD && !endpoints[want.at].addr.IsMulticast()
}

// reuses reports whether SO_REUSEADDR of the two is what stands for all four
// cases, beside what else they are and who asks.
func reuses(a, b party, w int) bool {
	others := w + a.at + b.at + b2i(a.port) + b2i(b.load)
	return a.reuse == (others&1 != 0) && b.reuse == (others&2 != 0)
}

// stateKinds say of each of the parties which kind its state is of, and which
// state of the kind it is.
type stateKinds struct{ of, member, size []int }

func kindsOf(s system, held []party) (k stateKinds) {
	for _, p := range held {
		for n, states := range s.kinds {
			if at := slices.Index(states, p.state); at >= 0 {
				k.of, k.member, k.size = append(k.of, n), append(k.member, at), append(k.size, len(states))
			}
		}
	}
	return k
}

// turn reports whether the two states stand for those of their kinds, beside
// what else held[i] and held[j] are.
func (k stateKinds) turn(i, j int) bool {
	others := i/len(everyState) + j/len(everyState)*7
	return k.member[i] == others%k.size[i] && k.member[j] == (others/k.size[i])%k.size[j]
}

// alone is the oracle of a system to which each socket on the port is in the way
// or not, by itself: the answers of its table, looked up.
func alone(may func(want party, held []party, dgram, choosing bool) bool) func(wants, held []party) func(w, i, j int, dgram, choosing bool) bool {
	return func(wants, held []party) func(w, i, j int, dgram, choosing bool) bool {
		answers := make([][4]bool, len(wants)*len(held))
		for w, want := range wants {
			for i, h := range held {
				for mode := range 4 {
					answers[w*len(held)+i][mode] = may(want, []party{h}, mode&1 != 0, mode&2 != 0)
				}
			}
		}
		return func(w, i, j int, dgram, choosing bool) bool {
			mode := b2i(dgram) + 2*b2i(choosing)
			return answers[w*len(held)+i][mode] && answers[w*len(held)+j][mode]
		}
	}
}

// freebsdFast is FreeBSD's oracle with its facts looked up.
func freebsdFast(wants, held []party) func(w, i, j int, dgram, choosing bool) bool {
	families := [2]string{"inet", "inet6"}
	facts := make([][2]freebsdFact, len(wants)*len(held))
	for w, want := range wants {
		for i, h := range held {
			for f, family := range families {
				facts[w*len(held)+i][f] = freebsdFactOf(family, want, h)
			}
		}
	}
	return func(w, i, j int, dgram, choosing bool) bool {
		for f := range families {
			pair := [2]freebsdFact{facts[w*len(held)+i][f], facts[w*len(held)+j][f]}
			if !freebsdVerdict(wants[w], pair[:], dgram, choosing) {
				return false
			}
		}
		return true
	}
}

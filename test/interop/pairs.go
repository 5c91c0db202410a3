package main

import "github.com/tcpcni/tcpcni/netstack/sim"

// pairwise draws scenarios until every pair of levels of every two factors is in
// one of them.
func pairwise(seed uint64) []*scenario {
	type pair struct{ f, a, g, b int }
	missing := make(map[pair]bool)
	for f := range factors {
		for g := f + 1; g < len(factors); g++ {
			for a := range factors[f].levels {
				for b := range factors[g].levels {
					missing[pair{f, a, g, b}] = true
				}
			}
		}
	}
	rng := sim.New(seed).Rand()
	covers := func(s *scenario) (list []pair) {
		for f := range factors {
			for g := f + 1; g < len(factors); g++ {
				if p := (pair{f, s.level[f], g, s.level[g]}); missing[p] {
					list = append(list, p)
				}
			}
		}
		return list
	}
	var list []*scenario
	for len(missing) > 0 {
		var best *scenario
		var most []pair
		for range 60 {
			s := draw(rng)
			if c := covers(s); best == nil || len(c) > len(most) {
				best, most = s, c
			}
		}
		for _, p := range most {
			delete(missing, p)
		}
		if len(most) > 0 {
			best.seed = seed + uint64(len(list))
			list = append(list, best)
		}
	}
	return list
}

func draw(rng *sim.Rand) *scenario {
	s := new(scenario)
	for i, f := range factors {
		s.level[i] = rng.Intn(len(f.levels))
	}
	return s
}

// whole lists every combination of what is negotiated, who connects and the
// line; the other factors are drawn.
func whole(seed uint64) []*scenario {
	rng := sim.New(seed).Rand()
	negotiated := []int{fImpair, fConnects, fOurScale, fOurTS, fOurSACK, fOurECN, fKernelScale, fKernelTS, fKernelSACK, fKernelECN}
	list := []*scenario{}
	var level [fAborts + 1]int
	var each func(i int)
	each = func(i int) {
		if i == len(negotiated) {
			s := draw(rng)
			for _, f := range negotiated {
				s.level[f] = level[f]
			}
			s.seed = seed + uint64(len(list))
			list = append(list, s)
			return
		}
		for n := range factors[negotiated[i]].levels {
			level[negotiated[i]] = n
			each(i + 1)
		}
	}
	each(0)
	return list
}

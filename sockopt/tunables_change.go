package sockopt

// Tunables of a sandbox that runs. Most are read where they count, so a change
// is seen by every connection at its next use, as on Linux. What a socket copies
// when it is made is another matter: see Profile.Follower.

// Gauges tells what a stack is at, for tunables that can only be read.
type Gauges interface {
	TCPBlocks() int          // connections, half-open and in TIME-WAIT included, and listeners
	ReassemblySegments() int // that wait behind a gap, of all connections
	SACKHoles() int          // holes that peers have reported, of all connections
	Counter(name string) uint64
}

// atRest is a stack that has done nothing.
type atRest struct{}

func (atRest) TCPBlocks() int          { return 0 }
func (atRest) ReassemblySegments() int { return 0 }
func (atRest) SACKHoles() int          { return 0 }
func (atRest) Counter(string) uint64   { return 0 }

// ChangeTunables sets tunables of a profile whose stack runs: all of set, or
// none and an error as NewTunables has it. What reads the profile's Tunables
// sees the new values at once.
func (p *Profile) ChangeTunables(set map[string]string) error {
	trial, err := p.Trial(set)
	if err == nil {
		*p.Tunables = *trial.Tunables
	}
	return err
}

// Trial is the profile as ChangeTunables would leave it, with tunables of its own.
func (p *Profile) Trial(set map[string]string) (*Profile, error) {
	trial, tun := *p, *p.Tunables
	trial.Tunables = &tun
	if err := p.apply(&tun, set, anyTime); err != nil {
		return nil, err
	}
	return &trial, nil
}

// LongName is the name of the tunable that name is a name of. The error of a name
// that is none says why, if it is one of Linux's.
func (p *Profile) LongName(name string) (string, error) {
	if r := p.tunable(name); r != nil {
		return r.name, nil
	}
	return "", unknownTunable(name)
}

// Follower returns a function that gives a socket's options the present values
// of the tunables where the profile's system looks at those for as long as the
// program has not chosen a value: Linux does for keep-alives and retries, illumos
// never.
func (p *Profile) Follower() func(*Options) {
	fresh := p.NewOptions()
	return func(o *Options) {
		given := o.Rare().Given
		for _, id := range p.follows {
			if !o.Chosen.Has(id) && !given.Has(id) {
				defaultable[id](o, &fresh)
			}
		}
	}
}

// Overlay is base as it reads after over was set on top of it: what over gives
// under another name of a value is in it, so that the two together say nothing
// different. The profile stays as it was. It fails where either does not fit the
// profile.
func (p *Profile) Overlay(base, over map[string]string) (map[string]string, error) {
	trial := *p
	if _, err := NewTunables(&trial, base); err != nil {
		return nil, err
	}
	if err := trial.apply(trial.Tunables, over, atStart); err != nil {
		return nil, err
	}
	merged := make(map[string]string, len(base))
	for name := range base {
		merged[name], _ = trial.Value(name)
	}
	return merged, nil
}

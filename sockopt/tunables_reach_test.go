package sockopt

import (
	"strconv"
	"testing"
)

// otherValue is one that the row accepts and does not have; "": there is none that
// can be found without knowing more.
func otherValue(p *Profile, r *tunableRow) string {
	now := r.value(p)
	if r.words != nil {
		for _, w := range r.words(p) {
			if w != now {
				return w
			}
		}
		return ""
	}
	if r.text != nil || r.fields != 1 {
		return ""
	}
	for _, v := range []int64{r.max, r.min, r.min + 1} {
		if s := strconv.FormatInt(v, 10); s != now && r.bits == 0 {
			return s
		}
	}
	return ""
}

// What a socket copies when it is made, and nothing else, is said to be for new
// sockets, or for all without a choice where the profile follows.
func TestReach(t *testing.T) {
	for _, name := range ProfileNames() {
		for _, base := range allRows(t, name) {
			p := profileOf(t, name)
			r := p.tunable(base)
			if r.access != anyTime {
				if r.reach(p) != ReachNone {
					t.Errorf("%s: %s is for %v", name, r.name, r.reach(p))
				}
				continue
			}
			value := otherValue(p, r)
			if value == "" {
				continue
			}
			before, datagram := p.NewOptions(), p.NewDatagramOptions()
			rare := *before.Rare()
			before.rare, datagram.rare = nil, nil
			if err := p.ChangeTunables(map[string]string{r.name: value}); err != nil {
				continue // it depends on another one
			}
			after, datagramAfter := p.NewOptions(), p.NewDatagramOptions()
			rareAfter := *after.Rare()
			after.rare, datagramAfter.rare = nil, nil
			copied := before != after || rare != rareAfter || datagram != datagramAfter
			said := r.reach(p) == ReachSockets || r.reach(p) == ReachFollow
			if copied && !said {
				t.Errorf("%s: %s=%s is for %v, but a socket copies it", name, r.name, value, r.reach(p))
			}
			if r.name == "net.inet.tcp.finwait2_timeout" {
				continue // only with fast_finwait2_recycle
			}
			if own := p.ownTunable(r); own && said && !copied {
				t.Errorf("%s: %s=%s is for %v, but no socket copies it", name, r.name, value, r.reach(p))
			}
		}
	}
}

func allRows(t *testing.T, name string) []string {
	var names []string
	for r := range profileOf(t, name).tunableRows {
		names = append(names, r.name)
	}
	return names
}

func (p *Profile) ownTunable(row *tunableRow) bool {
	for r, own := range p.tunableRows {
		if r == row {
			return own
		}
	}
	return false
}

// Names that the tables of reach mention exist.
func TestReachNamesExist(t *testing.T) {
	p := profileOf(t, "illumos") // which has the most
	var names []string
	for n := range followed {
		names = append(names, n)
	}
	for _, n := range append(append(names, handshakeTunables...), socketTunables...) {
		if r := p.tunable(n); r == nil || r.name != n {
			t.Errorf("%s is no tunable", n)
		}
	}
}

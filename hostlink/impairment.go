package hostlink

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An Impairment says what a bad network does to packets, each direction alike.
// Probabilities count for each packet of the wire, from 0 to 1: a super-segment
// is cut before they apply. The zero value does nothing.
type Impairment struct {
	Seed      uint64        // equal seeds and equal packets meet equal fates
	Loss      float64       // the packet vanishes
	Duplicate float64       // it arrives twice
	Reorder   float64       // it arrives behind 1 to 3 later ones, or 5 ms late when fewer come
	Corrupt   float64       // one bit behind the IP header flips; checksums notice
	Delay     time.Duration // everything arrives this much later, 0 to 10 s
}

// maxDelay bounds Delay: beyond it lies no network that anyone tests for.
const maxDelay = 10 * time.Second

// impairFields is the syntax that ParseImpairment reads.
var impairFields = []struct {
	name     string
	accepted string
	set      func(i *Impairment, value string) bool
}{
	{"seed", "an integer from 0 to 18446744073709551615", func(i *Impairment, v string) (ok bool) {
		n, err := strconv.ParseUint(v, 0, 64)
		i.Seed = n
		return err == nil
	}},
	{"loss", probability, func(i *Impairment, v string) bool { return parseProbability(&i.Loss, v) }},
	{"duplicate", probability, func(i *Impairment, v string) bool { return parseProbability(&i.Duplicate, v) }},
	{"reorder", probability, func(i *Impairment, v string) bool { return parseProbability(&i.Reorder, v) }},
	{"corrupt", probability, func(i *Impairment, v string) bool { return parseProbability(&i.Corrupt, v) }},
	{"delay", "a duration from 0s to " + maxDelay.String() + ", such as 5ms", func(i *Impairment, v string) bool {
		d, err := time.ParseDuration(v)
		i.Delay = d
		return err == nil && d >= 0 && d <= maxDelay
	}},
}

const probability = "a probability from 0 to 1"

func parseProbability(p *float64, v string) bool {
	f, err := strconv.ParseFloat(v, 64)
	*p = f
	return err == nil && f >= 0 && f <= 1 // false for NaN
}

// ParseImpairment reads "name=value,name=value…" with the names seed, loss,
// duplicate, reorder, corrupt and delay, each at most once. Spaces around
// fields do not matter; the empty string is the zero Impairment. Errors name
// the field, its value and what is accepted.
func ParseImpairment(text string) (Impairment, error) {
	var i Impairment
	seen := make(map[string]bool)
	for field := range strings.SplitSeq(text, ",") {
		field = strings.TrimSpace(field)
		if field == "" && strings.TrimSpace(text) == "" {
			return i, nil
		}
		name, value, _ := strings.Cut(field, "=")
		if seen[name] {
			return Impairment{}, fmt.Errorf("impairment: field %q: given twice", name)
		}
		seen[name] = true
		if err := i.set(name, value); err != nil {
			return Impairment{}, err
		}
	}
	return i, nil
}

func (i *Impairment) set(name, value string) error {
	var names []string
	for _, f := range impairFields {
		if f.name == name {
			if !f.set(i, value) {
				return fmt.Errorf("impairment: field %q: value %q: accepted is %s", name, value, f.accepted)
			}
			return nil
		}
		names = append(names, f.name)
	}
	return fmt.Errorf("impairment: field %q: accepted are %s, each with =VALUE", name, strings.Join(names, ", "))
}

// String returns i in the syntax of ParseImpairment.
func (i Impairment) String() string {
	p := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	return fmt.Sprintf("seed=%d,loss=%s,duplicate=%s,reorder=%s,corrupt=%s,delay=%s",
		i.Seed, p(i.Loss), p(i.Duplicate), p(i.Reorder), p(i.Corrupt), i.Delay)
}

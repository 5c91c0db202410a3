package figures

// Results of more than one run: what one machine cannot measure, another may.

import (
	"fmt"
	"strings"
)

// Added says which results are from another run, and what that was.
type Added struct {
	Facts
	Results []string `json:"results"` // their names
}

// Merge adds the results of another run for which this one has no numbers.
func (r *Report) Merge(other *Report) {
	a := Added{Facts: other.Facts}
	for _, name := range other.Order {
		theirs, ours := other.Results[name], r.Results[name]
		if theirs == nil || len(theirs.Rounds) == 0 || ours != nil && len(ours.Rounds) > 0 {
			continue
		}
		if ours == nil {
			r.Order = append(r.Order, name)
		}
		r.Results[name] = theirs
		a.Results = append(a.Results, name)
	}
	if len(a.Results) > 0 {
		r.Added = append(r.Added, a)
	}
}

// others are the lines about the results of other runs.
func (r *Report) others() string {
	var b strings.Builder
	for _, a := range r.Added {
		var what []string
		for _, name := range a.Results {
			if res := r.Results[name]; res != nil {
				what = append(what, res.What)
			}
		}
		fmt.Fprintf(&b, "\n\nFrom another run (%s): %s.", a.words(), strings.Join(what, "; "))
	}
	return b.String()
}

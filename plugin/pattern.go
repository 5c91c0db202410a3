package plugin

import (
	"regexp"
	"sync"
)

// A pattern is a regular expression that is compiled when it is first asked for:
// there are hundreds in the tables, and a process needs few of them or none.
type pattern struct {
	text string
	once sync.Once
	re   *regexp.Regexp
}

// MatchString reports whether text has a match.
func (p *pattern) MatchString(text string) bool {
	p.once.Do(func() { p.re = regexp.MustCompile(p.text) })
	return p.re.MatchString(text)
}

func (p *pattern) String() string { return p.text }

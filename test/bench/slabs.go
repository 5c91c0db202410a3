package main

// What the kernel has in slabs: slabinfo(5). Caches of one size may be one on a
// kernel that was not told otherwise (slab_nomerge), and then have the name of any.

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// slabs are the bytes of each cache; nil where the kernel does not tell.
type slabs map[string]int64

func readSlabs() (slabs, error) {
	text, err := os.ReadFile("/proc/slabinfo")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseSlabs(string(text))
}

// parseSlabs goes by the pages that a cache has, not by the objects in use.
func parseSlabs(text string) (slabs, error) {
	all := slabs{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "slabinfo") {
			continue
		}
		var name string
		var objects, total, size, inSlab, pages, limit, batch, shared, active, count, share int64
		_, err := fmt.Sscanf(line, "%s %d %d %d %d %d : tunables %d %d %d : slabdata %d %d %d", &name,
			&objects, &total, &size, &inSlab, &pages, &limit, &batch, &shared, &active, &count, &share)
		if err != nil {
			return nil, fmt.Errorf("slabinfo: %q: %w", line, err)
		}
		all[name] = count * pages * int64(os.Getpagesize())
	}
	return all, nil
}

// since returns what has become more, or less.
func (s slabs) since(before slabs) slabs {
	grown := slabs{}
	for name, n := range s {
		grown[name] = n - before[name]
	}
	return grown
}

func (s slabs) sum() (n int64) {
	for _, bytes := range s {
		n += bytes
	}
	return n
}

// each lists the caches with a share for each connection, largest first.
func (s slabs) each(conns int) string {
	const least = 8 // bytes that are worth a line
	var b strings.Builder
	for _, name := range slices.SortedFunc(maps.Keys(s), func(a, b string) int { return int(s[b] - s[a]) }) {
		if n := s[name] / int64(conns); n >= least {
			fmt.Fprintf(&b, "  slab %-20s %5d bytes each\n", name, n)
		}
	}
	return b.String()
}

package cgroup

import (
	"os"
	"path/filepath"
)

// Orphans lists the directories below sandboxes that are gone and whose groups
// are still there.
func Orphans(sandboxes string) []string {
	var list []string
	for _, h := range hierarchies() {
		groups, err := os.ReadDir(filepath.Join(h.path, parent))
		if err != nil {
			continue // none was ever made
		}
		for _, g := range groups {
			dir, ok := dirOf(sandboxes, g.Name())
			if !ok {
				continue
			}
			if _, err := os.Stat(dir); os.IsNotExist(err) {
				list = append(list, dir)
			}
		}
	}
	return list
}

// dirOf is the inverse of name for a directory below sandboxes.
func dirOf(sandboxes, group string) (string, bool) {
	const mark = 9 // the hyphen and the digits of the hash
	if len(group) <= mark {
		return "", false
	}
	dir := filepath.Join(sandboxes, group[:len(group)-mark])
	return dir, name(dir) == group
}

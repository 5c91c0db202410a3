package main

// The modules that the guest needs before it sees its file system, from
// modules.dep, modules.dep(5): each line is a module and what it depends on,
// what is needed first comes last.

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// bootModules bring the shared folders and the lines for output. All others
// are loaded by the kernel, through modprobe(8), when they are asked for.
var bootModules = []string{"virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"}

// bootOrder lists the files of bootModules and of all that they depend on,
// below dir, in the order to load them.
func bootOrder(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	needs := map[string][]string{}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		file, list, _ := strings.Cut(s.Text(), ":")
		deps := strings.Fields(list)
		slices.Reverse(deps)
		needs[moduleName(file)] = append(deps, file)
	}
	var order []string
	for _, m := range bootModules {
		files, ok := needs[m]
		if !ok && !strings.Contains(string(builtin), "/"+m+".ko") {
			return nil, fmt.Errorf("the kernel of %s has no module %s", dir, m)
		}
		for _, f := range files {
			if !slices.Contains(order, f) {
				order = append(order, f)
			}
		}
	}
	return order, nil
}

func moduleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(path.Base(file), ".ko"), "-", "_")
}

package process

// Processes by their arguments: proc_pid_cmdline(5).

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// WithArgument returns the processes that were started with the argument called
// name, and the one that follows it. A process may have written anything there:
// it speaks for itself only.
func WithArgument(name string) (map[ID]string, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	found := make(map[ID]string)
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		id, err := Identify(pid)
		if err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", d.Name(), "cmdline"))
		if err != nil {
			continue
		}
		args := strings.Split(string(b), "\x00")
		if i := slices.Index(args, name); i >= 0 && i+1 < len(args) && id.Alive() {
			found[id] = args[i+1]
		}
	}
	return found, nil
}

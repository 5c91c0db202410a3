package process

// Identity of a process: proc_pid_stat(5), field 22 (starttime).

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrGone says that the process no longer exists, or that its number now
// belongs to another one.
var ErrGone = errors.New("the process is gone")

// An ID names one process for as long as the machine runs. The zero ID names
// none.
type ID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks from boot to the start of the process
}

// Identify returns the ID of the process that has number pid now.
func Identify(pid int) (ID, error) {
	start, err := startTime(pid)
	return ID{pid, start}, err
}

// String gives the form that ParseID takes: "PID START".
func (id ID) String() string { return fmt.Sprintf("%d %d", id.PID, id.Start) }

// ParseID reads what String wrote; white space around it is allowed.
func ParseID(s string) (ID, error) {
	pid, start, _ := strings.Cut(strings.TrimSpace(s), " ")
	p, err1 := strconv.ParseInt(pid, 10, 32)
	t, err2 := strconv.ParseUint(start, 10, 64)
	if err1 != nil || err2 != nil || p <= 0 {
		return ID{}, fmt.Errorf("process %q: accepted is \"PID START\" with two decimal numbers", s)
	}
	return ID{int(p), t}, nil
}

// WriteFile stores the ID in a file, at once or not at all.
func (id ID) WriteFile(path string) error {
	return WriteFile(path, []byte(id.String()+"\n"), 0o644)
}

// ReadID reads the ID that WriteFile stored.
func ReadID(path string) (ID, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return ID{}, err
	}
	return ParseID(string(b))
}

// Alive reports whether the process exists and has not ended. A zombie has
// ended.
func (id ID) Alive() bool {
	if id.PID <= 0 {
		return false
	}
	stat, err := readStat(id.PID)
	return err == nil && stat.start == id.Start && stat.state != 'Z' && stat.state != 'X'
}

type stat struct {
	state  byte
	parent int
	start  uint64
}

func startTime(pid int) (uint64, error) {
	s, err := readStat(pid)
	return s.start, err
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	// The name in field 2 may hold spaces and parentheses: count from its end.
	end := bytes.LastIndexByte(b, ')')
	fields := bytes.Fields(b[end+1:])
	const stateField, parentField, startField = 0, 1, 19 // 3, 4 and 22 of the page, which counts from 1 and the name as 2
	if end < 0 || len(fields) <= startField {
		return stat{}, fmt.Errorf("process %d: malformed stat", pid)
	}
	start, err := strconv.ParseUint(string(fields[startField]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("process %d: malformed start time: %w", pid, err)
	}
	parent, err := strconv.Atoi(string(fields[parentField]))
	if err != nil {
		return stat{}, fmt.Errorf("process %d: malformed parent: %w", pid, err)
	}
	return stat{fields[stateField][0], parent, start}, nil
}

// Family returns the process numbers of id and of its descendants, none when it
// has ended.
func Family(id ID) []int {
	if !id.Alive() {
		return nil
	}
	children := map[int][]int{}
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	family := []int{id.PID}
	for i := 0; i < len(family); i++ {
		family = append(family, children[family[i]]...)
	}
	return family
}

package engine

// Tunables while the sandbox runs: tcpcni sysctl. What was changed is in the
// journal, as an engine's successor has only the configuration.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/sockopt"
)

// TunableValue is a tunable and what it is now.
type TunableValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// maxTunables bounds the names of one request.
const maxTunables = 1024

// tunables sets what the request sets, all of it or nothing, and answers with the
// values of the names that it asks for.
func (e *engine) tunables(q *request) response {
	if len(q.Set)+len(q.Get) > maxTunables {
		return response{Error: fmt.Sprintf("%d tunables; accepted: %d", len(q.Set)+len(q.Get), maxTunables)}
	}
	for _, name := range q.Get { // before anything is changed
		if _, err := e.profile.LongName(name); err != nil {
			return response{Error: err.Error()}
		}
	}
	if len(q.Set) > 0 {
		if err := e.setTunables(q.Set); err != nil {
			return response{Error: err.Error()}
		}
	}
	names := q.Get
	if q.All || q.Own {
		names = nil
		for _, t := range e.profile.TunableTable() {
			if t.Own || q.All {
				names = append(names, t.Name)
			}
		}
	}
	list := []TunableValue{}
	for _, name := range names {
		long, _ := e.profile.LongName(name)
		value, _ := e.profile.Value(name)
		list = append(list, TunableValue{long, value})
	}
	return response{Tunables: list}
}

// setTunables changes the stack of the uplink, what its sockets have copied, and
// what the inner one shares with it.
func (e *engine) setTunables(set map[string]string) error {
	changed, text, err := e.tuned(set)
	if err != nil {
		return err
	}
	if err := e.profile.ChangeTunables(set); err != nil {
		return err
	}
	e.changed = changed
	e.journal.tune(text)
	e.retuned(e.stack, e.profile)
	if in := &e.inline; in.stack != nil {
		in.tune(e.profile.Tunables)
		e.retuned(in.stack, in.profile)
	}
	return nil
}

// retuned has a stack and its sockets follow its profile's tunables.
func (e *engine) retuned(stack *netstack.Stack, profile *sockopt.Profile) {
	stack.Retune()
	follow := profile.Follower()
	for s := range stack.TCP().Sockets {
		follow(s.Options())
	}
	if stack != e.stack {
		return
	}
	for _, s := range e.socks.byFD { // those that are not in use yet
		if s != nil && s.stream != nil {
			follow(s.stream.tcp.Options())
		}
	}
}

// tuned is everything that was changed so far and by set, and its text for the
// journal. A name goes when another one has given the same value something else.
func (e *engine) tuned(set map[string]string) (map[string]string, []byte, error) {
	all := make(map[string]string)
	trial, err := e.profile.Trial(set)
	if err != nil {
		return nil, nil, err
	}
	for _, from := range []map[string]string{e.changed, set} {
		for name := range from {
			long, _ := trial.LongName(name)
			value, _ := trial.Value(name)
			if kept, ok := e.changed[long]; ok && !mentions(trial, set, long) && (kept != value || !holds(trial, long, kept)) {
				continue
			}
			all[long] = value
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(name + "=" + all[name] + "\n")
	}
	if b.Len() > maxTuned {
		return nil, nil, errors.New("too many tunables are changed; accepted: values that fit the journal of 32 KiB")
	}
	return all, []byte(b.String()), nil
}

// holds reports whether value is still all that name says. Another name of the
// same value may have a finer unit: 1500 milliseconds read as 1 second.
func holds(p *sockopt.Profile, name, value string) bool {
	again, err := p.Trial(map[string]string{name: value})
	return err == nil && *again.Tunables == *p.Tunables
}

// mentions reports whether a name of set is one of the tunable's.
func mentions(p *sockopt.Profile, set map[string]string, long string) bool {
	for name := range set {
		if l, _ := p.LongName(name); l == long {
			return true
		}
	}
	return false
}

// Layout of what was changed: two places for a text, a length before it, of
// which the head says which one counts.
const (
	journalTuned = 16 // offset in the head: 0 none, 1 or 2
	tunedLen     = 32 << 10
	maxTuned     = tunedLen - 4
)

func tunedAt(n int) int { return tunedStart + n*tunedLen }

// tune writes down what was changed.
func (j *journal) tune(text []byte) {
	if j == nil {
		return
	}
	n := int(binary.NativeEndian.Uint32(j.b[journalTuned:])) & 1 // the place that does not count: 0, 1, 0 for 0, 1, 2
	at := tunedAt(n)
	copy(j.b[at+4:at+tunedLen], text)
	binary.NativeEndian.PutUint32(j.b[at:], uint32(len(text)))
	j.mem.Publish(journalTuned, uint32(n+1))
}

// tuned reads what the engine before was told; its profile checks every value.
func (r journalReader) tuned() map[string]string {
	var word [4]byte
	if hostlink.ReadFileAt(r.fd, word[:], journalTuned) != len(word) {
		return nil
	}
	n := binary.NativeEndian.Uint32(word[:])
	if n != 1 && n != 2 {
		return nil
	}
	b := make([]byte, tunedLen)
	if hostlink.ReadFileAt(r.fd, b, int64(tunedAt(int(n-1)))) != len(b) {
		return nil
	}
	b = b[4:][:min(binary.NativeEndian.Uint32(b), maxTuned)]
	set := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			set[name] = value
		}
	}
	return set
}

// retune takes over what the engine before was told.
func (a *adoption) retune(set map[string]string) {
	if len(set) == 0 {
		return
	}
	if err := a.setTunables(set); err != nil {
		a.log.Warn("tunables of the engine before", "error", err)
	}
}

package plugin

import (
	"errors"
	"fmt"
)

// undo collects how to take steps back, for the error that comes later.
type undo struct {
	steps []func() error
}

// push adds the step that takes back what was just done or begun.
func (u *undo) push(step func() error) { u.steps = append(u.steps, step) }

// run takes every step back, the last one first, when err is not nil. It
// returns err; what could not be taken back is added to it, unless it says what
// err says already: an IPAM plugin that cannot read its configuration fails each
// verb with the same words.
func (u *undo) run(err error) error {
	if err == nil {
		return nil
	}
	var failed error
	said := map[string]bool{err.Error(): true}
	for i := len(u.steps) - 1; i >= 0; i-- {
		if e := u.steps[i](); e != nil && !said[e.Error()] {
			said[e.Error()] = true
			failed = errors.Join(failed, e)
		}
	}
	if failed != nil {
		return fmt.Errorf("%w (and taking it back: %w)", err, failed)
	}
	return err
}

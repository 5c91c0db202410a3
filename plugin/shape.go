package plugin

// Shapes say what a value of the configuration may look like: once, for the
// parser that checks it and for the JSON schema that is published.

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A kind is a type of JSON, by its name in JSON Schema.
type kind string

const (
	aString  kind = "string"
	aNumber  kind = "number"
	anInt    kind = "integer" // written as one: 1500, not 1.5e3
	aBool    kind = "boolean"
	anObject kind = "object"
	aList    kind = "array"
	aNull    kind = "null"
)

// A shape is a set of JSON values.
type shape struct {
	kind     kind   // "": any value, or any of the alternatives
	accepted string // in words, for errors
	about    string // what it is for, for the schema

	enum     []string // strings: the values, when there are few
	pattern  *pattern // strings: of the whole, when it says more than the kind
	min, max int64    // integers: bounds, both zero for none
	orZero   bool     // integers: 0 as well, whatever the bounds
	only     string   // booleans: the one value, as JSON writes it; "" for both
	fewest   int      // lists, objects: the least number of elements
	most     int      // lists: the largest number of elements, 0 for no bound

	members []key    // objects: the names and what they hold
	needs   []string // objects: the members that must be there
	rest    *shape   // objects: what other names hold; nil: other names are errors
	implied []implied
	elem    *shape // lists: what they hold

	either []*shape // alternatives, told apart by their kinds

	// check is for rules that a JSON schema cannot say. field is the value's path.
	check func(field string, raw json.RawMessage) error
}

// An implied is a rule of an object of integers: one that is above 0 needs another
// one above 0. Names are the same in any case, as in asGoWrites.
type implied struct{ name, needs string }

// kindOf is the type of a JSON value.
func kindOf(raw json.RawMessage) kind {
	switch c := raw[0]; {
	case c == '"':
		return aString
	case c == '{':
		return anObject
	case c == '[':
		return aList
	case c == 't', c == 'f':
		return aBool
	case c == 'n':
		return aNull
	}
	if _, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return anInt
	}
	return aNumber
}

// fits reports whether a value of kind k may have the shape.
func (s *shape) fits(k kind) bool {
	return s.kind == "" || s.kind == k || s.kind == aNumber && k == anInt
}

func (s *shape) refuse(field string, raw json.RawMessage) error {
	return &FieldError{field, abbreviate(raw), s.accepted}
}

// verify checks a JSON value. field is its path, for errors.
func (s *shape) verify(field string, raw json.RawMessage) error {
	k := kindOf(raw)
	if !s.fits(k) {
		return s.refuse(field, raw)
	}
	var err error
	switch {
	case len(s.either) > 0:
		err = s.verifyEither(field, raw, k)
	case s.kind == aString:
		err = s.verifyString(field, raw)
	case s.kind == anInt && s.min != s.max:
		if n := integerOf(raw); (n < s.min || n > s.max) && !(n == 0 && s.orZero) {
			err = s.refuse(field, raw)
		}
	case s.kind == aBool && s.only != "" && string(raw) != s.only:
		err = s.refuse(field, raw)
	case s.kind == aList:
		err = s.verifyList(field, raw)
	case s.kind == anObject:
		err = s.verifyObject(field, raw)
	}
	if err != nil || s.check == nil {
		return err
	}
	return s.check(field, raw)
}

func (s *shape) verifyEither(field string, raw json.RawMessage, k kind) error {
	for _, e := range s.either {
		if e.fits(k) {
			return e.verify(field, raw)
		}
	}
	return s.refuse(field, raw)
}

func (s *shape) verifyString(field string, raw json.RawMessage) error {
	var text string
	if json.Unmarshal(raw, &text) != nil ||
		s.enum != nil && !slices.Contains(s.enum, text) ||
		s.pattern != nil && !s.pattern.MatchString(text) {
		return s.refuse(field, raw)
	}
	return nil
}

func (s *shape) verifyList(field string, raw json.RawMessage) error {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) < s.fewest || s.most > 0 && len(list) > s.most {
		return s.refuse(field, raw)
	}
	for i, v := range list {
		if s.elem == nil {
			break
		}
		if err := s.elem.verify(fmt.Sprintf("%s[%d]", field, i), v); err != nil {
			return err
		}
	}
	return nil
}

func (s *shape) verifyObject(field string, raw json.RawMessage) error {
	list, err := members(raw)
	if err != nil {
		return within(field, err)
	}
	if len(list) < s.fewest {
		return s.refuse(field, raw)
	}
	for _, m := range list {
		k := find(s.members, m.key)
		inner := s.rest
		if k != nil {
			inner = &k.shape
		}
		path := field + "." + m.key
		if inner == nil {
			return &FieldError{path, abbreviate(m.value), "one of the keys " + keyNames(s.members)}
		}
		if err := inner.verify(path, m.value); err != nil {
			return err
		}
	}
	for _, name := range s.needs {
		if !slices.ContainsFunc(list, func(m member) bool { return m.key == name }) {
			k := find(s.members, name)
			return &FieldError{field + "." + name, "missing", k.shape.accepted}
		}
	}
	for _, i := range s.implied {
		if m := positive(list, i.name); m != nil && positive(list, i.needs) == nil {
			return &FieldError{field + "." + m.key, abbreviate(m.value), fmt.Sprintf("0 or none, unless %q is above 0", i.needs)}
		}
	}
	return nil
}

// positive finds the member of that name, in any case, if it is above 0.
func positive(list []member, name string) *member {
	for i := range list {
		if strings.EqualFold(list[i].key, name) && integerOf(list[i].value) > 0 {
			return &list[i]
		}
	}
	return nil
}

// integerOf is an integer as JSON writes it, 0 for anything else.
func integerOf(raw json.RawMessage) int64 {
	n, _ := strconv.ParseInt(string(raw), 10, 64)
	return n
}

// within puts the path of an object before the name of the member that err is
// about.
func within(field string, err error) error {
	if f, ok := err.(*FieldError); ok {
		return &FieldError{field + "." + f.Field, f.Value, f.Accepted}
	}
	return fmt.Errorf("%s: %w", field, err)
}

func find(keys []key, name string) *key {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

func keyNames(keys []key) string {
	names := make([]string, 0, len(keys))
	for _, k := range keys {
		names = append(names, k.name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Makers of the shapes that come often.

func str(accepted string) shape { return shape{kind: aString, accepted: accepted} }

func strOf(text, accepted string) shape {
	return shape{kind: aString, accepted: accepted, pattern: &pattern{text: text}}
}

func oneOf(names ...string) shape {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	last := len(quoted) - 1
	accepted := quoted[last]
	if last > 0 {
		accepted = strings.Join(quoted[:last], ", ") + " or " + accepted
	}
	return shape{kind: aString, accepted: accepted, enum: names}
}

func integer(lo, hi int64) shape {
	return shape{kind: anInt, accepted: fmt.Sprintf("an integer from %d to %d", lo, hi), min: lo, max: hi}
}

func boolean() shape { return shape{kind: aBool, accepted: "true or false"} }

func object(accepted string, members ...key) shape {
	return shape{kind: anObject, accepted: accepted, members: members}
}

func listOf(accepted string, elem shape) shape {
	return shape{kind: aList, accepted: accepted, elem: &elem}
}

// open lets an object have members that are for somebody else.
func (s shape) open() shape {
	s.rest = &shape{}
	return s
}

// orNull lets null stand for an absent value, as programs written in Go write it.
func (s shape) orNull() shape {
	inner := s
	return shape{accepted: s.accepted, about: s.about, either: []*shape{{kind: aNull}, &inner}}
}

// asGoWrites is an object that a runtime makes: runtimes written in Go write the
// names of a struct's fields, with a capital, and null for what is not there
// (containerd does both).
func (s shape) asGoWrites() shape {
	var list []key
	for _, k := range s.members {
		k.shape = k.shape.orNull()
		capital := k
		capital.name = strings.ToUpper(k.name[:1]) + k.name[1:]
		list = append(list, k, capital)
	}
	s.members = list
	check := s.check
	return s.checked(func(field string, raw json.RawMessage) error {
		list, err := members(raw)
		if err != nil {
			return within(field, err)
		}
		for i, m := range list {
			if slices.ContainsFunc(list[:i], func(o member) bool { return strings.EqualFold(o.key, m.key) }) {
				return &FieldError{field + "." + m.key, abbreviate(m.value), "a key that comes once, with a capital or without"}
			}
		}
		if check != nil {
			return check(field, raw)
		}
		return nil
	})
}

// must names the members that an object has to have.
func (s shape) must(names ...string) shape {
	s.needs = names
	return s
}

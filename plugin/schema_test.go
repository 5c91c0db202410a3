package plugin

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/schema.json and the tables of docs/cni.md")

const (
	schemaFile = "../docs/schema.json"
	pageFile   = "../docs/cni.md"
)

// An ordered object of JSON: a schema is for people to read.
type entry struct {
	name  string
	value any
}
type ordered []entry

func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, e := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := encode(e.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", e.name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode is json.Marshal without the escapes that are for web pages.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// schema is the shape in the words of JSON Schema.
func (s *shape) schema(def string) any {
	if s.check != nil && s.kind == "" && s.either == nil {
		return ordered{{"not", ordered{}}, {"description", s.accepted}}
	}
	var o ordered
	add := func(when bool, name string, value any) {
		if when {
			o = append(o, entry{name, value})
		}
	}
	var about []string
	for _, t := range []string{s.about, s.accepted} {
		if t != "" && (len(about) == 0 || about[0] != t) {
			about = append(about, t)
		}
	}
	if def != "" {
		about = append(about, "default: "+def)
	}
	add(len(about) > 0, "description", strings.Join(about, "; "))
	add(s.kind != "", "type", s.kind)
	add(s.enum != nil, "enum", s.enum)
	if s.pattern != nil {
		s.pattern.MatchString("") // that it can be compiled shows only now
		add(true, "pattern", s.pattern.String())
	}
	if s.orZero {
		add(true, "anyOf", []any{ordered{{"const", 0}}, ordered{{"minimum", s.min}, {"maximum", s.max}}})
	} else {
		add(s.min != s.max, "minimum", s.min)
		add(s.min != s.max, "maximum", s.max)
	}
	add(s.only != "", "const", json.RawMessage(s.only))
	add(s.kind == aList && s.fewest > 0, "minItems", s.fewest)
	add(s.most > 0, "maxItems", s.most)
	if s.elem != nil {
		add(true, "items", s.elem.schema(""))
	}
	if s.kind == anObject {
		add(len(s.members) > 0, "properties", properties(s.members))
		add(s.needs != nil, "required", s.needs)
		add(s.fewest > 0, "minProperties", s.fewest)
		add(s.implied != nil, "allOf", implications(s))
		if s.rest == nil {
			add(true, "additionalProperties", false)
		} else {
			add(true, "additionalProperties", s.rest.schema(""))
		}
	}
	if s.either != nil {
		var list []any
		for _, e := range s.either {
			alt := *e
			alt.accepted = ""
			list = append(list, alt.schema(""))
		}
		add(true, "anyOf", list)
	}
	if o == nil {
		return true
	}
	return o
}

func properties(keys []key) ordered {
	var o ordered
	for _, k := range keys {
		o = append(o, entry{k.name, k.shape.schema(k.def)})
	}
	return o
}

// implications are the rules between integers of an object.
func implications(s *shape) []any {
	positives := func(name string) (list []any) {
		for _, k := range s.members {
			if strings.EqualFold(k.name, name) {
				above := ordered{{"type", "integer"}, {"minimum", 1}}
				list = append(list, ordered{{"properties", ordered{{k.name, above}}}, {"required", []string{k.name}}})
			}
		}
		return list
	}
	var list []any
	for _, i := range s.implied {
		list = append(list, ordered{{"if", ordered{{"anyOf", positives(i.name)}}}, {"then", ordered{{"anyOf", positives(i.needs)}}}})
	}
	return list
}

// conditions are the rules between keys.
func conditions() []any {
	var list []any
	uplink := func(name string) ordered {
		if name == UplinkPTP { // it counts when there is none
			return ordered{{"properties", ordered{{"uplink", ordered{{"const", name}}}}}}
		}
		return ordered{{"properties", ordered{{"uplink", ordered{{"const", name}}}}}, {"required", []string{"uplink"}}}
	}
	for _, name := range []string{UplinkPTP, UplinkBridge, UplinkChained} {
		without := ordered{}
		for _, k := range keys() {
			if k.uplinks != nil && !contains(k.uplinks, name) {
				without = append(without, entry{k.name, false})
			}
		}
		then := ordered{{"properties", without}}
		switch name {
		case UplinkBridge:
			then = append(then, entry{"required", []string{"bridge", "ipam"}})
		case UplinkPTP:
			then = append(then, entry{"required", []string{"ipam"}})
		}
		list = append(list, ordered{{"if", uplink(name)}, {"then", then}})
	}
	return list
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

func makeSchema(t *testing.T) string {
	t.Helper()
	raw, err := encode(ordered{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "Network configuration of the CNI plugin tcpcni"},
		{"description", "One element of the list \"plugins\" of a network configuration list, with what libcni and the runtime add. A JSON Schema cannot say that a key comes only once, that a number is written without a fraction, the ranges of tunables, and the syntax of impair; the plugin checks these as well."},
		{"type", "object"},
		{"properties", properties(keys())},
		{"additionalProperties", false},
		{"allOf", conditions()},
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n"
}

// TestSchemaIsCurrent holds docs/schema.json against the table of keys:
// go test ./plugin -run IsCurrent -update writes it.
func TestSchemaIsCurrent(t *testing.T) {
	upToDate(t, schemaFile, func(string) string { return makeSchema(t) })
}

// TestTablesAreCurrent does the same for the tables of docs/cni.md.
func TestTablesAreCurrent(t *testing.T) {
	upToDate(t, pageFile, func(page string) string {
		for mark, keys := range map[string][]key{"keys": keys(), "capabilities": capabilities} {
			begin := "<!-- table " + mark + " -->\n"
			head, rest, ok := strings.Cut(page, begin)
			_, tail, closed := strings.Cut(rest, "<!-- end -->")
			if !ok || !closed {
				t.Fatalf("%s has no section %s", pageFile, mark)
			}
			page = head + begin + keyTable(keys) + "<!-- end -->" + tail
		}
		return page
	})
}

func upToDate(t *testing.T, file string, make func(string) string) {
	t.Helper()
	have, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	want := make(string(have))
	if want == string(have) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the code says; rewrite it with go test ./plugin -run Current -update", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func keyTable(keys []key) string {
	var b strings.Builder
	b.WriteString("| key | accepts | default | meaning |\n|---|---|---|---|\n")
	for _, k := range keys {
		about := k.shape.about
		if k.uplinks != nil && len(k.uplinks) < 2 {
			about += "; with `\"uplink\":\"" + k.uplinks[0] + "\"`"
		} else if k.uplinks != nil {
			about += "; not with `\"uplink\":\"chained\"`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.name, strings.ReplaceAll(k.shape.accepted, "|", "\\|"), k.def, strings.TrimPrefix(about, "; "))
	}
	return b.String()
}

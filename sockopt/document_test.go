package sockopt

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/options.md")

const document = "../docs/options.md"

// TestDocument holds the tables of docs/options.md against the tables of the
// code: go test ./sockopt -run TestDocument -update writes them.
func TestDocument(t *testing.T) {
	p := linux(t)
	have, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	want := string(have)
	tables := map[string]string{
		"SOL_SOCKET":   optionTable(p, SolSocket),
		"IPPROTO_TCP":  optionTable(p, protoTCP),
		"IPPROTO_IP":   optionTable(p, protoIP),
		"IPPROTO_IPV6": optionTable(p, protoIPv6),
		"refused":      refusedTable(p),
	}
	for _, name := range ProfileNames() {
		if name != "linux" {
			tables["profile "+name] = profileTable(profileOf(t, name))
		}
	}
	for mark, table := range tables {
		want = replaceSection(t, want, mark, table)
	}
	if want == string(have) {
		return
	}
	if !*update {
		t.Fatal("the tables of docs/options.md are not those of the code; rewrite them with go test ./sockopt -run TestDocument -update")
	}
	if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replaceSection puts text between the marks of a section.
func replaceSection(t *testing.T, doc, mark, text string) string {
	t.Helper()
	begin, end := "<!-- table "+mark+" -->\n", "<!-- end -->"
	head, rest, ok := strings.Cut(doc, begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no section %s", document, mark)
	}
	return head + begin + text + end + tail
}

var codecNames = map[Codec]string{
	Int: "int", Bool: "0 or 1", Seconds: "int, seconds", Millis: "int, ms", UintMillis: "unsigned int, ms", Uint: "unsigned int", IntOrByte: "int or byte", BoolOrByte: "0 or 1",
	LingerPair: "struct linger", Timeval: "struct timeval", Text: "string", Struct: "structure",
}

func optionTable(p *Profile, level int) string {
	var b strings.Builder
	b.WriteString("| option | number | value | range | default | notes |\n|---|---|---|---|---|---|\n")
	for _, r := range p.Rows() {
		if r.Level != level || r.Refuse != 0 {
			continue
		}
		value := valueText(&r)
		bounds := ""
		if r.Min != 0 || r.Max != 0 {
			bounds = fmt.Sprintf("%d..%d", r.Min, r.Max)
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s |\n", r.Name, r.Number, value, bounds, r.Default, strings.Join(remarks(&r), "; "))
	}
	return b.String()
}

// profileTable has the options of another system's sockets; those of IP are
// Linux's.
func profileTable(p *Profile) string {
	var b strings.Builder
	b.WriteString("| option | level | number | value | range | default | notes |\n|---|---|---|---|---|---|---|\n")
	for _, r := range p.Rows() {
		if r.Level != SolSocket && r.Level != protoTCP {
			continue
		}
		number := fmt.Sprint(r.Number)
		if r.Foreign() {
			number = fmt.Sprintf("%#x", r.Number)
		}
		value, bounds, notes := valueText(&r), "", strings.Join(remarks(&r), "; ")
		if r.Min != 0 || r.Max != 0 {
			bounds = fmt.Sprintf("%d..%d", r.Min, r.Max)
		}
		if r.Refuse != 0 {
			value, notes = "", "refused with "+r.Refuse.Name()+": "+r.Note
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", r.Name, levelNames[r.Level], number, value, bounds, r.Default, notes)
	}
	return b.String()
}

func valueText(r *Row) string {
	value := codecNames[r.Codec]
	if r.Unit != "" && !strings.Contains(value, ",") {
		value += ", " + r.Unit
	}
	return value
}

func remarks(r *Row) []string {
	var list []string
	truth := fmt.Sprintf("reads %d when on", r.Truth)
	for _, remark := range []struct {
		when bool
		text string
	}{
		{r.Access == ReadOnly, "read only"},
		{r.Access == WriteOnly, "set only"},
		{r.Needs == CapNetAdmin, "takes CAP_NET_ADMIN"},
		{r.Needs == CapNetAdmin|CapNetRaw, "takes CAP_NET_ADMIN or CAP_NET_RAW"},
		{r.On == UDPOnly, "UDP only"},
		{r.Truth > 1, truth},
		{r.NotInherited, "not inherited by accept"},
		{r.Note != "", r.Note},
	} {
		if remark.when {
			list = append(list, remark.text)
		}
	}
	return list
}

var levelNames = map[int]string{SolSocket: "SOL_SOCKET", protoTCP: "IPPROTO_TCP", protoUDP: "IPPROTO_UDP", protoIP: "IPPROTO_IP", protoIPv6: "IPPROTO_IPV6"}

func refusedTable(p *Profile) string {
	var b strings.Builder
	b.WriteString("| level | options | error | because |\n|---|---|---|---|\n")
	rows := p.Rows()
	for i := 0; i < len(rows); {
		r := &rows[i]
		var names []string
		for ; i < len(rows) && rows[i].Level == r.Level && rows[i].Refuse == r.Refuse && rows[i].Note == r.Note; i++ {
			names = append(names, rows[i].Name)
		}
		if r.Refuse != 0 {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", levelNames[r.Level], strings.Join(names, ", "), r.Refuse.Name(), r.Note)
		}
	}
	return b.String()
}

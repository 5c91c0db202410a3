package sockopt

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const tunablesDocument = "../docs/tunables.md"

// TestTunablesDocument holds the tables of docs/tunables.md against those of the
// code: go test ./sockopt -run TestTunablesDocument -update writes them.
func TestTunablesDocument(t *testing.T) {
	have, err := os.ReadFile(tunablesDocument)
	if err != nil {
		t.Fatal(err)
	}
	want := string(have)
	for _, name := range []string{"linux", "illumos", "freebsd"} {
		p, err := ProfileByName(name)
		if err != nil {
			t.Fatal(err)
		}
		want = replaceSection(t, want, name, tunableTable(p))
	}
	want = replaceSection(t, want, "absent", absentTable())
	if want == string(have) {
		return
	}
	if !*update {
		t.Fatal("the tables of docs/tunables.md are not those of the code; rewrite them with go test ./sockopt -run TestTunablesDocument -update")
	}
	if err := os.WriteFile(tunablesDocument, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tunableTable has the names of the profile's own system.
func tunableTable(p *Profile) string {
	var b strings.Builder
	b.WriteString("| tunable | or | accepted | unit | default | a change counts for |\n|---|---|---|---|---|---|\n")
	for _, r := range p.TunableTable() {
		if !r.Own {
			continue
		}
		short := r.Short
		if short == r.Name {
			short = ""
		}
		accepted, def, reach := r.Accepted, r.Default, r.Reach.String()
		if r.ReadOnly {
			accepted, def, reach = "read only", "", ""
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.Name, short, accepted, r.Unit, def, reach)
	}
	return b.String()
}

// absentTable has the names of Linux that are nobody's.
func absentTable() string {
	var b strings.Builder
	b.WriteString("| names | why |\n|---|---|\n")
	for _, a := range AbsentTunables {
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(a.Names, " "), a.Why)
	}
	return b.String()
}

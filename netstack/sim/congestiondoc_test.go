package sim

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/tcp"
)

var updateTables = flag.Bool("update", false, "rewrite the tables of docs/congestion.md")

const (
	congestionDoc = "../../docs/congestion.md"
	// kernelShares has what the kernel's algorithms reach over the same line, one
	// "algorithm loss-per-thousand milliseconds share" each; the table shows it
	// beside ours.
	kernelShares = "testdata/kernel-congestion.txt"
)

var (
	tableLosses = []int{0, 10, 30, 100} // per thousand
	tableTrips  = []int{1, 50, 200}     // milliseconds
)

// section is what stands between the markers of a name.
func section(t *testing.T, doc, name string) (before, body, after string) {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- end -->\n"
	i := strings.Index(doc, begin)
	if i < 0 {
		t.Fatalf("%s has no section %q", congestionDoc, name)
	}
	i += len(begin)
	j := strings.Index(doc[i:], end)
	if j < 0 {
		t.Fatalf("section %q does not end", name)
	}
	return doc[:i], doc[i : i+j], doc[i+j:]
}

// readKernel has the kernel's shares by "algorithm loss milliseconds".
func readKernel(t *testing.T) map[string]string {
	t.Helper()
	shares := make(map[string]string)
	f, err := os.Open(kernelShares)
	if os.IsNotExist(err) {
		return shares
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 4 {
			t.Fatalf("%s: %q; accepted: algorithm, loss per thousand, milliseconds, share", kernelShares, line)
		}
		shares[strings.Join(words[:3], " ")] = words[3]
	}
	return shares
}

// utilisationTable is generated: share of the line, ours and the kernel's.
func utilisationTable(t *testing.T) string {
	kernel := readKernel(t)
	var b strings.Builder
	b.WriteString("| algorithm | loss |")
	for _, ms := range tableTrips {
		fmt.Fprintf(&b, " %d ms | kernel |", ms)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|---|", len(tableTrips)) + "\n")
	for _, name := range tcp.CongestionNames() {
		for _, loss := range tableLosses {
			fmt.Fprintf(&b, "| %s | %d %% |", name, loss/10)
			for _, ms := range tableTrips {
				theirs := kernel[fmt.Sprint(name, " ", loss, " ", ms)]
				if theirs == "" {
					theirs = "-"
				}
				fmt.Fprintf(&b, " %.3f | %s |", utilisation(t, name, loss, ms), theirs)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// fairnessTable is generated: how two flows share the line.
func fairnessTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| algorithm | first | second | Jain's index | against cubic | cubic |\n|---|---|---|---|---|---|\n")
	for _, name := range tcp.CongestionNames() {
		own, other := rivals(t, name, name), rivals(t, name, "cubic")
		fmt.Fprintf(&b, "| %s | %.3f | %.3f | %.3f | %.3f | %.3f |\n", name, own[0], own[1], jain(own), other[0], other[1])
	}
	return b.String()
}

// marksTable is generated: what a line that marks makes of each.
func marksTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| algorithm | share | marked | longest wait |\n|---|---|---|---|\n")
	for _, name := range tcp.CongestionNames() {
		got, line := marked(t, name)
		fmt.Fprintf(&b, "| %s | %.3f | %.2f %% | %.1f ms |\n", name, got,
			100*float64(line.Marked)/float64(line.Carried), line.Waited.Seconds()*1000)
	}
	return b.String()
}

// paramTable is generated: what SetCongestionParam takes.
func paramTable() string {
	var b strings.Builder
	b.WriteString("| algorithm | parameter | range | unit | default | |\n|---|---|---|---|---|---|\n")
	for _, name := range tcp.CongestionNames() {
		for _, p := range tcp.CongestionParams(name) {
			fmt.Fprintf(&b, "| %s | %s | %d..%d | %s | %d | %s |\n", name, p.Name, p.Min, p.Max, p.Unit, p.Default, p.Doc)
		}
	}
	return b.String()
}

// TestCongestionDocument holds the tables against what they tell of: parameters
// to the letter, and of the rates one cell for each algorithm, which may differ by
// a tenth of the line before -update is due.
func TestCongestionDocument(t *testing.T) {
	text, err := os.ReadFile(congestionDoc)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	if *updateTables {
		for name, table := range map[string]string{
			"parameters": paramTable(), "utilisation": utilisationTable(t), "fairness": fairnessTable(t), "marks": marksTable(t),
		} {
			before, _, after := section(t, doc, name)
			doc = before + "\n" + table + "\n" + after
		}
		if err := os.WriteFile(congestionDoc, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, body, _ := section(t, doc, "parameters"); strings.TrimSpace(body) != strings.TrimSpace(paramTable()) {
		t.Errorf("parameters are not current; go test ./netstack/sim -run %s -update", t.Name())
	}
	_, rates, _ := section(t, doc, "utilisation")
	_, pairs, _ := section(t, doc, "fairness")
	for _, name := range tcp.CongestionNames() {
		if !strings.Contains(pairs, "\n| "+name+" | ") {
			t.Errorf("fairness has no row of %s", name)
		}
		_, row, ok := strings.Cut(rates, "\n| "+name+" | 1 % | ")
		if !ok {
			t.Errorf("utilisation has no row of %s with 1 %% loss", name)
			continue
		}
		cells := strings.Split(row, " | ")
		documented, err := strconv.ParseFloat(cells[2], 64) // 50 ms
		if err != nil {
			t.Fatal(err)
		}
		if got := utilisation(t, name, 10, 50); got < documented-0.1 || got > documented+0.1 {
			t.Errorf("%s, 1 %% loss, 50 ms: %.3f, documented is %.3f; go test ./netstack/sim -run %s -update", name, got, documented, t.Name())
		}
	}
}

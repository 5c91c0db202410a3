package sockopt

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// The kernel beside the options that are refused. TestKernelAgrees leaves them
// out, as an answer that says no is another one by intention. What each says
// instead is docs/refused.md, so that none differs unseen.

const (
	refusedDocument = "../docs/refused.md"

	// The kernel that the document has the answers of. Options come with later
	// ones, and say more as they grow older.
	refusedMajor, refusedMinor = 6, 18
)

const refusedHead = `# Refused options and the kernel

What Linux 6.18 answers, as root and on a new socket, to options that a sandbox refuses under profile ` + "`linux`" + `: to setsockopt of an int of 0, of an int of 1, and to getsockopt of an int. Options to which both say the same are not here. ` + "`go test ./sockopt -run Document -update`" + ` writes this page; [options.md](options.md) has all options.

| option | level | sockets | here | setsockopt 0 | setsockopt 1 | getsockopt | refused because |
|---|---|---|---|---|---|---|---|
`

// answers are those to the calls that the document has a column of.
type answers [3]errno.Errno

// anybodys are options whose answer is for a module of the kernel to give, which
// may be loaded or not.
var anybodys = []string{"SO_ORIGINAL_DST"}

func answersHere(p *Profile, row *Row, domain, typ int) (a answers) {
	for i := range a {
		s := newFake(p, domain, typ)
		var err error
		if i < 2 {
			_, err = p.Set(s, row.Level, row.Number, intBytes(i), everything)
		} else {
			_, err = p.Get(s, row.Level, row.Number, sizeofInt)
		}
		a[i] = errno.Of(err)
	}
	return a
}

func answersOfKernel(t *testing.T, row *Row, domain, typ int) (a answers) {
	for i := range a {
		fd, err := syscall.Socket(domain, typ|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Skipf("no kernel sockets of domain %d here: %v", domain, err)
		}
		if i < 2 {
			a[i] = kernelSet(fd, row.Level, row.Number, intBytes(i))
		} else {
			_, a[i] = kernelGet(fd, row.Level, row.Number, sizeofInt)
		}
		syscall.Close(fd)
	}
	return a
}

// lacks reports whether the kernel was built without what the option is for.
func (a answers) lacks() bool {
	for _, e := range a {
		if e != errno.ENOPROTOOPT && e != errno.EOPNOTSUPP {
			return false
		}
	}
	return true
}

func (a answers) cells() string {
	var list []string
	for _, e := range a {
		list = append(list, strings.Replace(symbol(e), "success", "ok", 1))
	}
	return strings.Join(list, " | ")
}

// refusedRow is the line of the document for an option on the sockets of which
// the answers are.
func refusedRow(row *Row, kinds []string, a answers) string {
	on := strings.Join(kinds, ", ")
	if len(kinds) == len(socketKinds) {
		on = "all"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", row.Name, levelNames[row.Level], on, row.Refuse.Name(), a.cells(), row.Note)
}

// TestRefusedDocument asks the kernel about every option that is refused. Where
// it says something else than is said here, docs/refused.md has it with the
// reason.
func TestRefusedDocument(t *testing.T) {
	p := kernelProfile(t)
	priv := ownPrivilege()
	if !priv.NetAdmin || !priv.NetRaw {
		t.Skip("the kernel answers others than root differently")
	}
	if major, minor := kernelVersion(t); major != refusedMajor || minor != refusedMinor {
		t.Skipf("the document has the answers of Linux %d.%d, this is %d.%d", refusedMajor, refusedMinor, major, minor)
	}
	text, err := os.ReadFile(refusedDocument)
	if err != nil && !*update {
		t.Fatal(err)
	}
	have := strings.SplitAfter(string(text), "\n")
	want := refusedHead
	for i := range p.Rows() {
		row := &p.Rows()[i]
		if row.Refuse == 0 || slices.Contains(anybodys, row.Name) {
			continue
		}
		byAnswer := make(map[answers][]string)
		var order []answers
		for _, kind := range socketKinds {
			a := answersOfKernel(t, row, kind.domain, kind.typ)
			if a == answersHere(p, row, kind.domain, kind.typ) {
				continue
			}
			if byAnswer[a] == nil {
				order = append(order, a)
			}
			byAnswer[a] = append(byAnswer[a], kind.name)
		}
		for _, a := range order {
			line := refusedRow(row, byAnswer[a], a)
			want += line
			switch {
			case *update || slices.Contains(have, line):
			case a.lacks():
				t.Logf("this kernel was built without it: %s", line)
			default:
				t.Errorf("%s: here %s, the kernel says %s on %v; docs/refused.md does not: go test ./sockopt -run Document -update writes it",
					row.Name, row.Refuse.Name(), a.cells(), byAnswer[a])
			}
		}
	}
	if *update && want != string(text) {
		if err := os.WriteFile(refusedDocument, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// What is in the document and not refused any more is a line too much.
	for _, line := range have {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && !*update && !strings.Contains(want, line) && !refusedByName(p, name) {
			t.Errorf("docs/refused.md has %s, which is not refused any more: go test ./sockopt -run Document -update", name)
		}
	}
}

func refusedByName(p *Profile, name string) bool {
	return slices.ContainsFunc(p.Rows(), func(r Row) bool { return r.Name == name && r.Refuse != 0 })
}

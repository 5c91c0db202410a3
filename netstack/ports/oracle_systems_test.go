package ports

import (
	"slices"
	"strings"
)

// The oracles of the systems whose kernels cannot be asked here: tables written
// from the manual pages, and where those say nothing from what is known of the
// systems. They share nothing with the code under test but the endpoints, the
// columns of which have the order of oracle_test.go.

// A party is one socket's part in a case.
type party struct {
	at                      int // index of endpoints
	reuse, port, load, excl bool
	uid                     uint32
	super                   bool
	state                   string // of who is there already
}

// matrix is a table with a row for who asks and a column for who is there.
func matrix(rows ...string) []string {
	for i := range rows {
		rows[i] = strings.ReplaceAll(rows[i], " ", "")
	}
	return rows
}

func letter(matrix []string, want, held int) byte { return matrix[want][held] }

// A verdict is one row of a table: columns of what matters, and whether the
// socket may bind. A column is a list of what it is for, "*" is for everything.
type verdict struct {
	columns string
	may     bool
}

// verdicts are a table whose columns are split, as it is asked millions of times.
type verdicts []struct {
	columns [][]string
	may     bool
}

func table(rows ...verdict) verdicts {
	list := make(verdicts, len(rows))
	for i, row := range rows {
		list[i].may = row.may
		for _, column := range strings.Fields(row.columns) {
			list[i].columns = append(list[i].columns, strings.Split(column, ","))
		}
	}
	return list
}

// judge takes the first row that fits.
func judge(rows verdicts, facts ...string) bool {
	for _, row := range rows {
		fits := true
		for i, column := range row.columns {
			fits = fits && (column[0] == "*" || slices.Contains(column, facts[i]))
		}
		if fits {
			return row.may
		}
	}
	panic("no row for " + strings.Join(facts, " "))
}

// meetsBy is a letter of a matrix as a column of a table has it.
var meetsBy = map[byte]string{'=': "=", 'w': "w", 'x': "x", '.': "."}

func yn(b bool) string {
	if b {
		return "y"
	}
	return "n"
}

func streamOrDgram(dgram bool) string {
	if dgram {
		return "dgram"
	}
	return "stream"
}

func wishOrChoice(choosing bool) string {
	if choosing {
		return "choice"
	}
	return "wish"
}

// tcp(7P): "IPv4 INADDR_ANY and IPv6 unspecified addresses compare as equal to
// any IPv4 or IPv6 address." = is one address, w a wildcard beside another.
var illumosMeets = matrix(
	//  any4 .1 .2 255 224  any6 only ::1 ::2 ff0e  map1 map*
	"   =    w  w  w   w    w    w    w   w   w     w    =", // 0.0.0.0
	"   w    =  .  .   .    w    w    .   .   .     =    w", // 127.0.0.1
	"   w    .  =  .   .    w    w    .   .   .     .    w", // 127.0.0.2
	"   w    .  .  =   .    w    w    .   .   .     .    w", // 255.255.255.255
	"   w    .  .  .   =    w    w    .   .   .     .    w", // 224.0.0.251
	"   w    w  w  w   w    =    =    w   w   w     w    w", // ::
	"   w    w  w  w   w    =    =    w   w   w     w    w", // :: IPV6_V6ONLY, which the page does not know
	"   w    .  .  .   .    w    w    =   .   .     .    w", // ::1
	"   w    .  .  .   .    w    w    .   =   .     .    w", // ::2
	"   w    .  .  .   .    w    w    .   .   =     .    w", // ff0e::fb
	"   w    =  .  .   .    w    w    .   .   .     =    w", // ::ffff:127.0.0.1
	"   =    w  w  w   w    w    w    w   w   w     w    =", // ::ffff:0.0.0.0
)

// Columns: how the addresses meet, kind, port, SO_REUSEADDR of who asks,
// SO_EXCLBIND of either, state of who is there.
var illumosRows = table(
	// "Once this option is enabled on a socket, no other socket can be bound to the same port."
	verdict{"* * * * y bound,listen,active", false},
	// "No two TCP sockets can be bound to the same port unless the bound IP addresses are different."
	verdict{". * * * * *", true},
	verdict{"* * * n * *", false},
	// A datagram socket (not on the page) asks for a port that others have.
	verdict{"* dgram wish y * *", true},
	// "If SO_REUSEADDR is set on a socket doing a bind, INADDR_ANY and the unspecified address do not compare as equal to any IP address."
	verdict{"w * * y * *", true},
	// "As long as the two sockets are not both bound to INADDR_ANY, the unspecified address, or the same IP address";
	// a connection is not what a bind made.
	verdict{"= * * y * bound,listen", false},
	verdict{"= * * y * active,closing,timewait", true},
)

func illumosMay(want party, held []party, dgram, choosing bool) bool {
	for _, h := range held {
		if !judge(illumosRows, meetsBy[letter(illumosMeets, want.at, h.at)], streamOrDgram(dgram), wishOrChoice(choosing),
			yn(want.reuse), yn(want.excl || h.excl), h.state) {
			return false
		}
	}
	return true
}

// = is one address, which the any addresses of both families are as these
// systems have one family; w is the any address beside another.
var oneFamilyMeets = matrix(
	//  any4 .1 .2 255 224  any6 only ::1 ::2 ff0e  map1 map*
	"   =    w  w  w   w    =    .    .   .   .     w    =", // 0.0.0.0
	"   w    =  .  .   .    w    .    .   .   .     =    w", // 127.0.0.1
	"   w    .  =  .   .    w    .    .   .   .     .    w", // 127.0.0.2
	"   w    .  .  =   .    w    .    .   .   .     .    w", // 255.255.255.255
	"   w    .  .  .   =    w    .    .   .   .     .    w", // 224.0.0.251
	"   =    w  w  w   w    =    =    w   w   w     w    =", // ::
	"   .    .  .  .   .    =    =    w   w   w     .    .", // :: IPV6_V6ONLY
	"   .    .  .  .   .    w    w    =   .   .     .    .", // ::1
	"   .    .  .  .   .    w    w    .   =   .     .    .", // ::2
	"   .    .  .  .   .    w    w    .   .   =     .    .", // ff0e::fb
	"   w    =  .  .   .    w    .    .   .   .     =    w", // ::ffff:127.0.0.1
	"   =    w  w  w   w    =    .    .   .   .     w    =", // ::ffff:0.0.0.0
)

// Columns: how the addresses meet, SO_REUSEADDR of both, who asks.
var sortixRows = table(
	verdict{". * *", true},
	// "No two sockets can bind to the same local address and port."
	verdict{"= * *", false},
	// "… unless both sockets had the SO_REUSEADDR socket option set when the second socket was bound, and the current
	// user is the same that bound the first socket or the current user has superuser privileges."
	verdict{"w y owner,super", true},
	verdict{"w * *", false},
)

func sortixMay(want party, held []party, _, _ bool) bool {
	for _, h := range held {
		who := "other"
		switch {
		case want.uid == h.uid:
			who = "owner"
		case want.super:
			who = "super"
		}
		if !judge(sortixRows, meetsBy[letter(oneFamilyMeets, want.at, h.at)], yn(want.reuse && h.reuse), who) {
			return false
		}
	}
	return true
}

// Columns: how the addresses meet, SO_REUSEADDR of who asks, state of who is
// there.
var cxuxRows = table(
	verdict{". * *", true},
	// "… with a network address/port pair that has already been bound to another socket."
	verdict{"= * bound,listen", false},
	verdict{"* n *", false},
	verdict{"* y *", true},
)

func cxuxMay(want party, held []party, _, _ bool) bool {
	for _, h := range held {
		if !judge(cxuxRows, meetsBy[letter(oneFamilyMeets, want.at, h.at)], yn(want.reuse), h.state) {
			return false
		}
	}
	return true
}

// FreeBSD looks a socket up in each family that it is for. = is the very
// address, w a wildcard beside another, x the wildcard of the other family.
var freebsdMeets = map[string][]string{
	"inet": matrix(
		//  any4 .1 .2 255 224  any6 only ::1 ::2 ff0e  map1 map*
		"   =    w  w  w   w    x    .    .   .   .     w    =", // 0.0.0.0
		"   w    =  .  .   .    w    .    .   .   .     =    w", // 127.0.0.1
		"   w    .  =  .   .    w    .    .   .   .     .    w", // 127.0.0.2
		"   w    .  .  =   .    w    .    .   .   .     .    w", // 255.255.255.255
		"   w    .  .  .   =    w    .    .   .   .     .    w", // 224.0.0.251
		"   x    w  w  w   w    =    .    .   .   .     w    x", // ::
		"   .    .  .  .   .    .    .    .   .   .     .    .", // :: IPV6_V6ONLY
		"   .    .  .  .   .    .    .    .   .   .     .    .", // ::1
		"   .    .  .  .   .    .    .    .   .   .     .    .", // ::2
		"   .    .  .  .   .    .    .    .   .   .     .    .", // ff0e::fb
		"   w    =  .  .   .    w    .    .   .   .     =    w", // ::ffff:127.0.0.1
		"   =    w  w  w   w    x    .    .   .   .     w    =", // ::ffff:0.0.0.0
	),
	"inet6": matrix(
		//  any4 .1 .2 255 224  any6 only ::1 ::2 ff0e  map1 map*
		"   .    .  .  .   .    .    .    .   .   .     .    .", // 0.0.0.0
		"   .    .  .  .   .    .    .    .   .   .     .    .", // 127.0.0.1
		"   .    .  .  .   .    .    .    .   .   .     .    .", // 127.0.0.2
		"   .    .  .  .   .    .    .    .   .   .     .    .", // 255.255.255.255
		"   .    .  .  .   .    .    .    .   .   .     .    .", // 224.0.0.251
		"   .    .  .  .   .    =    =    w   w   w     .    .", // ::
		"   .    .  .  .   .    =    =    w   w   w     .    .", // :: IPV6_V6ONLY
		"   .    .  .  .   .    w    w    =   .   .     .    .", // ::1
		"   .    .  .  .   .    w    w    .   =   .     .    .", // ::2
		"   .    .  .  .   .    w    w    .   .   =     .    .", // ff0e::fb
		"   .    .  .  .   .    .    .    .   .   .     .    .", // ::ffff:127.0.0.1
		"   .    .  .  .   .    .    .    .   .   .     .    .", // ::ffff:0.0.0.0
	),
}

// freebsdOrder is who is found before whom: the address, whether it has a peer,
// and whether it is an IPv6 wildcard found for IPv4.
var freebsdOrder = map[string]int{
	"= alone inet": 0, "x alone inet": 0,
	"= peer inet": 1, "x peer inet": 1, "w alone inet": 1,
	"w peer inet":  2,
	"= alone dual": 3, "x alone dual": 3,
	"= peer dual": 4, "x peer dual": 4, "w alone dual": 4,
	"w peer dual": 5,
}

// Columns of who may not share because he is somebody else: the address that is
// asked for, kind, state of who is there, both are wildcards, who is there has
// SO_REUSEPORT, has SO_REUSEPORT_LB.
var freebsdForeignRows = table(
	verdict{"group * * * * *", true},
	verdict{"* stream active,closing,timewait * * *", true},
	verdict{"* * * y n y", true},
	verdict{"* * * * * *", false},
)

// Columns: the address that is asked for, both have SO_REUSEPORT, both have
// SO_REUSEPORT_LB. For a multicast address ("group") SO_REUSEADDR is both of
// them, on either socket.
var freebsdShareRows = table(
	verdict{"* y *", true},
	verdict{"* * y", true},
	verdict{"* n n", false},
)

// A freebsdFact is what the tables say of one socket that is there, for one that
// asks, in one family.
type freebsdFact struct {
	meets   byte // letter of freebsdMeets
	peer    bool
	rank    int     // of freebsdOrder, the least is found
	foreign [2]bool // he may share although he is somebody else, or is not: stream, datagram
	shares  bool
}

func freebsdFactOf(family string, want, h party) (f freebsdFact) {
	f.meets = letter(freebsdMeets[family], want.at, h.at)
	if f.meets == '.' {
		return f
	}
	peer, as, kind := "alone", "inet", "host"
	if f.peer = h.state != "bound" && h.state != "listen"; f.peer {
		peer = "peer"
	}
	if family == "inet" && endpoints[h.at].name == "[::]" {
		as = "dual"
	}
	f.rank = freebsdOrder[meetsBy[f.meets]+" "+peer+" "+as]
	wantPort, heldPort, wantLoad, heldLoad := want.port, h.port, want.load, h.load
	if endpoints[want.at].addr.IsMulticast() {
		kind = "group"
		wantPort, heldPort, wantLoad, heldLoad = want.port || want.reuse, h.port || h.reuse, want.load || want.reuse, h.load || h.reuse
	}
	bothAny := endpoints[want.at].addr.Unmap().IsUnspecified() && endpoints[h.at].addr.Unmap().IsUnspecified()
	for i, dgram := range []bool{false, true} {
		f.foreign[i] = want.super || want.uid == h.uid || judge(freebsdForeignRows, kind, streamOrDgram(dgram), h.state, yn(bothAny), yn(h.port), yn(h.load))
	}
	f.shares = judge(freebsdShareRows, kind, yn(wantPort && heldPort), yn(wantLoad && heldLoad))
	return f
}

// freebsdFind is the lookup: the first of least rank. Those count whose letters
// are wanted, and those with a peer if peers are.
func freebsdFind(facts []freebsdFact, letters string, peers bool) *freebsdFact {
	var found *freebsdFact
	for i := range facts {
		f := &facts[i]
		if strings.IndexByte(letters, f.meets) < 0 || f.peer && !peers || found != nil && found.rank <= f.rank {
			continue
		}
		found = f
	}
	return found
}

// freebsdVerdict is the oracle for one family; the facts are those of who is
// there, the newest first.
func freebsdVerdict(want party, facts []freebsdFact, dgram, choosing bool) bool {
	wild := !want.reuse && !want.port && !want.load
	switch {
	case choosing && wild:
		return freebsdFind(facts, "=xw", true) == nil
	case choosing:
		return freebsdFind(facts, "=x", false) == nil
	}
	if t := freebsdFind(facts, "=xw", true); t != nil && !t.foreign[b2i(dgram)] {
		return false
	}
	letters := "="
	if wild {
		letters = "=w"
	}
	t := freebsdFind(facts, letters, wild)
	return t == nil || t.shares
}

func freebsdMay(want party, held []party, dgram, choosing bool) bool {
	for family := range freebsdMeets {
		var facts []freebsdFact
		for _, h := range held {
			facts = append(facts, freebsdFactOf(family, want, h))
		}
		if !freebsdVerdict(want, facts, dgram, choosing) {
			return false
		}
	}
	return true
}

// linuxMay is the oracle that the kernel itself confirms, with states: only a
// listener differs, and the owner of what is in TIME-WAIT does not matter.
func linuxMay(want party, held []party, _, choosing bool) bool {
	for _, h := range held {
		uid := h.uid
		if h.state == "timewait" {
			uid = want.uid
		}
		first := user{h.at, h.reuse && !choosing, h.port && !choosing, uid}
		if !mayShare(first, user{want.at, want.reuse, want.port, want.uid}, h.state == "listen") {
			return false
		}
	}
	return true
}

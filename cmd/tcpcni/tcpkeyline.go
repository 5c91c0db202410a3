package main

// Lines of tcpcni tcpkey, as tcpkey(8) of illumos and setkey(8) of FreeBSD write
// them:
//
//	add src 10.0.0.1 dst 10.0.0.2 dport 179 authalg md5 authstring "a key"
//	add 10.0.0.1 10.0.0.2 tcp 0x1000 -A tcp-md5 "a key" ;

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpcni/tcpcni/engine"
)

// maxKeyLine bounds a line of a file, in bytes.
const maxKeyLine = 4096

// A keyLine is one command of a file.
type keyLine struct {
	verb string
	engine.Association
}

// parseKeyLine reads a line. ok is false when there is nothing in it.
func parseKeyLine(line string) (k keyLine, ok bool, err error) {
	words, err := keyWords(line)
	if err != nil || len(words) == 0 {
		return k, false, err
	}
	k.verb = words[0]
	switch k.verb {
	case "add", "delete":
		k.Association, err = parseAssociation(words[1:], k.verb == "add")
	case "flush":
		err = extraWords(words[1:])
	default:
		err = fmt.Errorf("%q: accepted: add, delete, flush", k.verb)
	}
	return k, true, err
}

func extraWords(words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("%q: accepted: nothing more", words[0])
	}
	return nil
}

// keyWords splits a line at spaces. Quotes hold a word together, a backslash
// takes the next character as it is, # begins a comment, and a semicolon at the
// end does nothing.
func keyWords(line string) (words []string, err error) {
	var word strings.Builder
	in, quote, escaped := false, rune(0), false
	end := func() {
		if in {
			words = append(words, word.String())
			word.Reset()
			in = false
		}
	}
	line = strings.TrimRight(line, " \t\r\n")
	for i, c := range line {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\':
			in, escaped = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			in, quote = true, c
		case c == '#' && !in:
			end()
			return words, nil
		case c == ' ' || c == '\t', c == ';' && i == len(line)-1:
			end()
		default:
			in = true
			word.WriteRune(c)
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("the line ends inside quotes or behind a backslash: accepted: a key in quotes on one line")
	}
	end()
	return words, nil
}

// keyExtensions are the pairs that name an association, as tcpkey(8) has them.
var keyExtensions = map[string]func(a *engine.Association, value string) error{
	"src":        func(a *engine.Association, v string) error { return keyAddr(&a.Src, v) },
	"src4":       func(a *engine.Association, v string) error { return keyAddr(&a.Src, v) },
	"src6":       func(a *engine.Association, v string) error { return keyAddr(&a.Src, v) },
	"saddr":      func(a *engine.Association, v string) error { return keyAddr(&a.Src, v) },
	"dst":        func(a *engine.Association, v string) error { return keyAddr(&a.Dst, v) },
	"dst4":       func(a *engine.Association, v string) error { return keyAddr(&a.Dst, v) },
	"dst6":       func(a *engine.Association, v string) error { return keyAddr(&a.Dst, v) },
	"daddr":      func(a *engine.Association, v string) error { return keyAddr(&a.Dst, v) },
	"sport":      func(a *engine.Association, v string) error { return keyPort(&a.SrcPort, v) },
	"dport":      func(a *engine.Association, v string) error { return keyPort(&a.DstPort, v) },
	"authalg":    func(_ *engine.Association, v string) error { return keyAlgorithm(v, "md5", "hmac-md5", "tcp-md5") },
	"auth_alg":   func(_ *engine.Association, v string) error { return keyAlgorithm(v, "md5", "hmac-md5", "tcp-md5") },
	"proto":      func(_ *engine.Association, v string) error { return keyAlgorithm(v, "tcp", "6") },
	"authstring": keyText,
	"authkey":    keyHex,
}

// parseAssociation reads the words behind a verb. needKey: one is to be added.
func parseAssociation(words []string, needKey bool) (a engine.Association, err error) {
	if len(words) > 0 && words[0] == "tcpsig" {
		words = words[1:]
	}
	if len(words) >= 2 && keyExtensions[words[0]] == nil {
		if words, err = setkeyWords(words); err != nil {
			return a, err
		}
	}
	seen := map[string]bool{}
	for ; len(words) > 0; words = words[2:] {
		set := keyExtensions[words[0]]
		switch {
		case set == nil:
			return a, fmt.Errorf("%q: accepted: src, dst, sport, dport, authalg, authstring, authkey", words[0])
		case len(words) == 1:
			return a, fmt.Errorf("%s: it ends here: accepted: a value", words[0])
		case seen[words[0]]:
			return a, fmt.Errorf("%s: it is there twice: accepted: once", words[0])
		}
		seen[words[0]] = true
		if err := set(&a, words[1]); err != nil {
			return a, fmt.Errorf("%s: %w", words[0], err)
		}
	}
	switch {
	case !a.Src.IsValid():
		return a, errors.New("src: missing: accepted: an address")
	case !a.Dst.IsValid():
		return a, errors.New("dst: missing: accepted: an address")
	case needKey && len(a.Key) == 0:
		return a, errors.New("authstring: missing: accepted: a key as authstring TEXT or authkey HEX")
	}
	return a, nil
}

// setkeyWords turns the words of setkey(8), SRC DST tcp SPI [-A tcp-md5 KEY], into
// those of tcpkey(8). The SPI names nothing here.
func setkeyWords(w []string) ([]string, error) {
	out := []string{"src", w[0], "dst", w[1]}
	rest := w[2:]
	if len(rest) < 2 || rest[0] != "tcp" {
		return nil, errors.New("accepted: src ADDR dst ADDR …, or ADDR ADDR tcp SPI -A tcp-md5 KEY")
	}
	if _, err := strconv.ParseUint(rest[1], 0, 32); err != nil {
		return nil, fmt.Errorf("SPI %q: accepted: a number of 32 bits", rest[1])
	}
	switch rest = rest[2:]; {
	case len(rest) == 0:
		return out, nil
	case len(rest) != 3 || rest[0] != "-A":
		return nil, errors.New("accepted behind the SPI: -A tcp-md5 KEY")
	}
	kind := "authstring"
	if strings.HasPrefix(rest[2], "0x") {
		kind = "authkey"
	}
	return append(out, "authalg", rest[1], kind, rest[2]), nil
}

func keyAddr(to *netip.Addr, v string) error {
	a, err := netip.ParseAddr(v)
	if err != nil || a.Zone() != "" {
		return fmt.Errorf("%q: accepted: an IPv4 or IPv6 address", v)
	}
	if to.IsValid() {
		return errors.New("it is there twice: accepted: once")
	}
	*to = a.Unmap()
	return nil
}

func keyPort(to *uint16, v string) error {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		return fmt.Errorf("%q: accepted: a port, or 0 for any", v)
	}
	*to = uint16(n)
	return nil
}

func keyAlgorithm(v string, known ...string) error {
	if !slices.Contains(known, v) {
		return fmt.Errorf("%q: accepted: %s", v, known[0])
	}
	return nil
}

func keyText(a *engine.Association, v string) error {
	if v == "" || len(v) > maxKeyBytes || a.Key != nil {
		return fmt.Errorf("accepted: one key of 1 to %d bytes", maxKeyBytes)
	}
	a.Key = []byte(v)
	return nil
}

// keyHex reads hexadecimal digits. tcpkey(8) lets a length in bits follow.
func keyHex(a *engine.Association, v string) error {
	digits, bits, counted := strings.Cut(strings.TrimPrefix(v, "0x"), "/")
	key, err := hex.DecodeString(digits)
	if err != nil || len(key) == 0 || len(key) > maxKeyBytes || a.Key != nil || counted && bits != strconv.Itoa(8*len(key)) {
		return fmt.Errorf("accepted: one key of 1 to %d bytes in hexadecimal digits", maxKeyBytes)
	}
	a.Key = key
	return nil
}

// maxKeyBytes is the length of the longest key.
const maxKeyBytes = 80

// formatKey is the line that adds an association. hidden: with an X in place of
// each digit of the key.
func formatKey(a engine.Association, hidden bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "add src %s dst %s", a.Src, a.Dst)
	if a.SrcPort != 0 {
		fmt.Fprintf(&b, " sport %d", a.SrcPort)
	}
	if a.DstPort != 0 {
		fmt.Fprintf(&b, " dport %d", a.DstPort)
	}
	digits := hex.EncodeToString(a.Key)
	if hidden {
		digits = strings.Repeat("X", len(digits))
	}
	fmt.Fprintf(&b, " authalg md5 authkey %s", digits)
	return b.String()
}

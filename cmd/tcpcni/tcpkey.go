package main

// The association database of a sandbox that runs, in the manner of tcpkey(8).

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/engine"
)

// keyOptions are the flags of tcpkey.
type keyOptions struct {
	hidden bool
	ifname string
}

// A keyDatabase is what the verbs work on: the engine's client.
type keyDatabase interface {
	AddKey(engine.Association) error
	DeleteKey(engine.Association) error
	GetKey(engine.Association) (engine.Association, error)
	FlushKeys() error
	Keys() ([]engine.Association, map[string]uint64, error)
}

// keyVerbs do what the command is called with, from in and to out.
var keyVerbs = map[string]func(db keyDatabase, words []string, o *keyOptions, in io.Reader, out io.Writer) error{
	"add": func(db keyDatabase, words []string, _ *keyOptions, _ io.Reader, _ io.Writer) error {
		a, err := parseAssociation(words, true)
		if err != nil {
			return err
		}
		return db.AddKey(a)
	},
	"delete": func(db keyDatabase, words []string, _ *keyOptions, _ io.Reader, _ io.Writer) error {
		a, err := parseAssociation(words, false)
		if err != nil {
			return err
		}
		return db.DeleteKey(a)
	},
	"get": func(db keyDatabase, words []string, o *keyOptions, _ io.Reader, out io.Writer) error {
		if len(words) == 0 {
			return writeKeys(db, out, o.hidden)
		}
		a, err := parseAssociation(words, false)
		if err != nil {
			return err
		}
		if a, err = db.GetKey(a); err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, formatKey(a, o.hidden))
		return err
	},
	"flush": func(db keyDatabase, words []string, _ *keyOptions, _ io.Reader, _ io.Writer) error {
		if err := extraWords(words); err != nil {
			return err
		}
		return db.FlushKeys()
	},
	"save": saveKeys,
	"load": loadKeys,
	"counters": func(db keyDatabase, words []string, _ *keyOptions, _ io.Reader, out io.Writer) error {
		_, dropped, err := db.Keys()
		if err = errors.Join(err, extraWords(words)); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(dropped)) {
			if _, err := fmt.Fprintf(out, "%s %d\n", name, dropped[name]); err != nil {
				return err
			}
		}
		return nil
	},
}

func tcpkeyCommand() *cobra.Command {
	var o keyOptions
	cmd := &cobra.Command{
		Use:   "tcpkey [flags] NAME add|delete|get|flush|save|load|counters [WORDS...]",
		Short: "Show or change the keys that sign a sandbox's TCP segments",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needRoot("tcpkey"); err != nil {
				return err
			}
			verb := keyVerbs[args[1]]
			if verb == nil {
				return fmt.Errorf("%q: accepted: add, counters, delete, flush, get, load, save", args[1])
			}
			return withEngine(args[0], o.ifname, func(c *engine.Client) error {
				return verb(c, args[2:], &o, cmd.InOrStdin(), cmd.OutOrStdout())
			})
		},
	}
	// Words such as -A belong to the line.
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().BoolVarP(&o.hidden, "paranoid", "p", false, "get: print an X in place of each digit of a key")
	cmd.Flags().StringVar(&o.ifname, "ifname", "", "interface of the sandbox, when it has several")
	return cmd
}

func writeKeys(db keyDatabase, out io.Writer, hidden bool) error {
	list, _, err := db.Keys()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, a := range list {
		fmt.Fprintln(&b, formatKey(a, hidden))
	}
	_, err = out.Write(b.Bytes())
	return err
}

// saveKeys writes what load reads, to a file that only its owner can read and
// that appears whole, or to standard output.
func saveKeys(db keyDatabase, words []string, _ *keyOptions, _ io.Reader, out io.Writer) error {
	if len(words) > 1 {
		return extraWords(words[1:])
	}
	if len(words) == 0 || words[0] == "-" {
		return writeKeys(db, out, false)
	}
	path := words[0]
	if err := replaceable(path); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tcpkey-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	err = writeKeys(db, f, false)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// replaceable refuses what a rename would put a file in the place of: a device, a
// link, a pipe.
func replaceable(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && !st.Mode().IsRegular():
		return fmt.Errorf("%s: %v; accepted: a regular file, a new one, or - for standard output", path, st.Mode().Type())
	}
	return err
}

// loadKeys executes the lines of a file, or of standard input. The whole file is
// read and checked first. When the database refuses a line, what the lines
// before it have done stays, as with tcpkey -f, and the error names the line.
func loadKeys(db keyDatabase, words []string, _ *keyOptions, in io.Reader, _ io.Writer) error {
	name := "-"
	if len(words) > 0 {
		name = words[0]
		if err := extraWords(words[1:]); err != nil {
			return err
		}
	}
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	lines, err := readKeyLines(name, in)
	if err != nil {
		return err
	}
	for n, k := range lines {
		switch k.verb {
		case "add":
			err = db.AddKey(k.Association)
		case "delete":
			err = db.DeleteKey(k.Association)
		case "flush":
			err = db.FlushKeys()
		}
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", name, lines[n].number, err)
		}
	}
	return nil
}

type numberedLine struct {
	keyLine
	number int
}

// maxKeyLines is more than a database takes.
const maxKeyLines = 1 << 16

func readKeyLines(name string, in io.Reader) ([]numberedLine, error) {
	var list []numberedLine
	s := bufio.NewScanner(in)
	s.Buffer(nil, maxKeyLine)
	for n := 1; s.Scan(); n++ {
		k, ok, err := parseKeyLine(s.Text())
		if err == nil && len(list) == maxKeyLines {
			err = fmt.Errorf("accepted: %d commands", maxKeyLines)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", name, n, err)
		}
		if ok {
			list = append(list, numberedLine{k, n})
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

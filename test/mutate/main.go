// Mutate finds out which rules of a package no test would miss. It changes one
// comparison, one boolean or one number at a time, runs the tests, and reports
// the changes that none of them notices.
//
//	go run ./test/mutate                          # netstack/tcp, all of it
//	go run ./test/mutate -files rst.go,paws.go    # these files
//	go run ./test/mutate -sample 200 -seed 7      # so many of all changes, by seed
//	go run ./test/mutate -for 20m                 # what can be tried in that time, in random order
//	go run ./test/mutate -doc docs/mutation.md    # the table, as a document
//
// All changes are compiled into one test binary, of which an environment
// variable chooses one, so that a change costs a run of the tests and no build.
// Tests run in three stages, the fastest first, and end with the first failure:
// the interaction scripts, the package's tests, and worlds by seed.
package main

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	dir := flag.String("dir", "netstack/tcp", "the package's folder")
	files := flag.String("files", "", "names of files, with commas; all if empty")
	sample := flag.Int("sample", 0, "how many changes to try; 0: all")
	seed := flag.Int64("seed", 1, "of the sample")
	jobs := flag.Int("j", 1, "runs at a time")
	seeds := flag.Int("seeds", 60, "worlds for those that the package's tests do not notice; 0: none")
	limit := flag.Duration("for", 0, "stop after so long, with what was tried until then; 0: try all")
	doc := flag.String("doc", "", "write the table to this file")
	flag.Parse()
	if err := run(*dir, *files, *sample, *seed, *jobs, *seeds, *limit, *doc); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(dir, files string, sample int, seed int64, jobs, seeds int, limit time.Duration, doc string) error {
	src, err := load(dir)
	if err != nil {
		return err
	}
	var chosen []string
	if files != "" {
		chosen = strings.Split(files, ",")
	}
	if err := src.choose(chosen); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	bin, err := build(src, tmp, seeds)
	if err != nil {
		return err
	}
	try := append([]*mutant(nil), src.mutants...)
	if sample > 0 || limit > 0 {
		rand.New(rand.NewSource(seed)).Shuffle(len(try), func(i, j int) { try[i], try[j] = try[j], try[i] })
	}
	if sample > 0 {
		try = try[:min(sample, len(try))]
	}
	fmt.Printf("%d changes, %d are tried\n", len(src.mutants), len(try))
	if err := bin.baseline(); err != nil {
		return err
	}
	try = bin.tryAll(try, jobs, limit)
	table := tableOf(try)
	fmt.Print("\n" + table)
	if doc != "" {
		return writeDoc(doc, filepath.ToSlash(dir), table, len(src.mutants), try)
	}
	return nil
}

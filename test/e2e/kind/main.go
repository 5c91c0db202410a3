// Command kind is the laboratory of the tests in the folder suite: a
// Kubernetes cluster of two nodes by kind, for which everything is built from
// source or taken from the files of Debian packages. No container registry is
// asked for anything.
//
//	kind run [COMMAND [ARG...]]   bring a cluster up, install tcpcni, run COMMAND
//	                              (default: the tests), take everything down
//	kind build                    only fill the cache
//
// The cluster lives in network, mount and process namespaces of its own, see
// supervise.go; COMMAND runs inside, with KUBECONFIG and DOCKER_HOST set. The
// machine's own addresses, rules and sysctls are not touched.
//
// The other words start the same binary in its other places: "inside" is the
// first process of those namespaces, "cluster" what it starts, "node" the first
// process of a node, "runc" what dockerd takes for runc.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

var modes = map[string]func(args []string) error{
	"run":     supervise,
	"build":   func([]string) error { return build() },
	"inside":  inside,
	"cluster": cluster,
	"node":    node,
	"runc":    runc,
}

func main() {
	word := "run"
	if len(os.Args) > 1 {
		word = os.Args[1]
	}
	f, ok := modes[word]
	if !ok {
		fmt.Fprintln(os.Stderr, "usage: kind run [COMMAND [ARG...]] | kind build")
		os.Exit(2)
	}
	if err := f(os.Args[min(len(os.Args), 2):]); err != nil {
		fmt.Fprintln(os.Stderr, "kind:", err)
		os.Exit(1)
	}
}

// started is the zero of the times that say prints, in every process of a run.
var started = time.Now()

// startVariable hands it on, in nanoseconds since 1970.
const startVariable = "TCPCNI_KIND_START"

func init() {
	if ns, err := strconv.ParseInt(os.Getenv(startVariable), 10, 64); err == nil {
		started = time.Unix(0, ns)
	}
}

// say prints one line of progress with the seconds since the start.
func say(format string, args ...any) {
	fmt.Printf("[%5.1fs] %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
}

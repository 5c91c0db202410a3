// Command probe is the Go program of the tests' pods: a server, and questions
// that a shell cannot ask.
//
//	probe serve ADDRESS...        HTTP on each address: / answers with the host
//	                              name, /peer with who asks, /tcp with the kernel's TCP sockets of this
//	                              network namespace, /congestion with the option
//	                              of the connection that asks, /exit ends it
//	probe congestion ADDRESS      connects and prints TCP_CONGESTION
//	probe hold ADDRESS            connects, says "connected", waits for the end of
//	                              the connection and prints it
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) >= 2 && args[0] == "serve":
		return serve(args[1:])
	case len(args) == 2 && args[0] == "congestion":
		c, err := net.Dial("tcp", args[1])
		if err != nil {
			return err
		}
		defer c.Close()
		name, err := congestion(c)
		fmt.Println(name)
		return err
	case len(args) == 2 && args[0] == "hold":
		c, err := net.Dial("tcp", args[1])
		if err != nil {
			return err
		}
		fmt.Println("connected")
		_, err = io.Copy(io.Discard, c)
		fmt.Println("ended:", err)
		return nil
	}
	return fmt.Errorf("arguments %q: see the head of probe/main.go", args)
}

// connKey is the context's key of the connection that a request came by.
type connKey struct{}

func serve(addresses []string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintln(w, name)
	})
	mux.HandleFunc("/peer", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.RemoteAddr) })
	mux.HandleFunc("/tcp", func(w http.ResponseWriter, r *http.Request) {
		for _, f := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			b, err := os.ReadFile(f)
			if err != nil && !os.IsNotExist(err) {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Write(b)
		}
	})
	mux.HandleFunc("/congestion", func(w http.ResponseWriter, r *http.Request) {
		name, err := congestion(r.Context().Value(connKey{}).(net.Conn))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, name)
	})
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	server := &http.Server{
		Handler:     mux,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	failed := make(chan error)
	for _, a := range addresses {
		l, err := net.Listen("tcp", a)
		if err != nil {
			return err
		}
		go func() { failed <- server.Serve(l) }()
	}
	return <-failed
}

// congestion asks the socket for its congestion control.
func congestion(c net.Conn) (string, error) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return "", err
	}
	var name string
	var failed error
	if err := raw.Control(func(fd uintptr) {
		name, failed = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	}); err != nil {
		return "", err
	}
	return strings.TrimRight(name, "\x00"), failed
}

// Command probe is the Go program of the tests' pods: a server, and questions
// that a shell cannot ask.
//
//	probe serve ADDRESS...        HTTP on each address: / answers with the host
//	                              name, /peer with who asks, /tcp with the kernel's
//	                              TCP sockets that this process has, /congestion
//	                              with the option of the connection that asks
//	probe get URL                 prints what the URL answers
//	probe api PATH                asks the cluster's API server as the pod's
//	                              service account and prints the status
//	probe congestion ADDRESS      connects and prints TCP_CONGESTION
//	probe hold ADDRESS            connects, says "connected", waits for the end of
//	                              the connection and prints it
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

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
	case len(args) == 2 && args[0] == "get":
		return get(args[1])
	case len(args) == 2 && args[0] == "api":
		return api(args[1])
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
		if err := kernelSockets(w); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
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
		fmt.Println("serves", a)
		go func() { failed <- server.Serve(l) }()
	}
	return <-failed
}

// kernelSockets prints the lines of the kernel's tables that describe a
// descriptor of this process, by the socket's inode.
func kernelSockets(w io.Writer) error {
	own := map[string]bool{}
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		return err
	}
	for _, fd := range fds {
		to, _ := os.Readlink(fd)
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	if len(own) == 0 {
		return errors.New("no descriptor of a socket in /proc/self/fd")
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 9 && own[f[9]] {
				io.WriteString(w, line)
			}
		}
	}
	return nil
}

func get(url string) error {
	client := http.Client{Timeout: 10 * time.Second}
	r, err := client.Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	_, err = io.Copy(os.Stdout, r.Body)
	return err
}

// account is where a pod finds what it needs to talk to the API server.
const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

func api(path string) error {
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	r, err := http.NewRequest("GET", "https://kubernetes.default.svc"+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+string(token))
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	fmt.Println(answer.Status)
	return nil
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

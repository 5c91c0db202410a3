// Command peer is an ordinary Go network program: what it does, it does with
// package net alone, as any program does.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
)

var commands = map[string]func(args []string) error{
	"serve":      serve,
	"get":        get,
	"echo":       echo,
	"flock":      flock,
	"interfaces": interfaces,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: peer serve ADDR | get URL TIMES | echo ADDR | flock ADDR COUNT BYTES | interfaces")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// serve answers GET / with the client's address and POST / with the body.
func serve(args []string) error {
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println("listening on", l.Addr())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(w, r.Body)
			return
		}
		fmt.Fprintf(w, "hello %s from %s\n", r.RemoteAddr, r.Context().Value(http.LocalAddrContextKey))
	}))
}

// get fetches an URL and prints the body, then posts a megabyte to it as often
// as told, concurrently, and wants it back.
func get(args []string) error {
	times, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	r, err := http.Get(args[0])
	if err != nil {
		return err
	}
	if _, err := io.Copy(os.Stdout, r.Body); err != nil {
		return err
	}
	errs := make(chan error)
	for i := range times {
		go func() { errs <- post(args[0], byte(i)) }()
	}
	var all error
	for range times {
		all = errors.Join(all, <-errs)
	}
	return all
}

func post(url string, seed byte) error {
	body := pattern(1<<20, seed)
	r, err := http.Post(url, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	back, err := io.ReadAll(r.Body)
	if err == nil && !bytes.Equal(back, body) {
		err = errors.New("the body came back changed")
	}
	return err
}

func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// echo sends back what each connection brings until it half-closes.
func echo(args []string) error {
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println("listening on", l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

// flock opens all connections before it uses any, then uses all at once.
func flock(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	conns := make([]*net.TCPConn, count)
	errs := make([]error, count)
	each := func(f func(i int) error) error {
		var wg sync.WaitGroup
		for i := range count {
			wg.Go(func() { errs[i] = f(i) })
		}
		wg.Wait()
		return errors.Join(errs...)
	}
	if err := each(func(i int) error {
		c, err := net.Dial("tcp", args[0])
		if err == nil {
			conns[i] = c.(*net.TCPConn)
		}
		return err
	}); err != nil {
		return err
	}
	if err := each(func(i int) error { return exchange(conns[i], pattern(size, byte(i))) }); err != nil {
		return err
	}
	fmt.Printf("%d connections, %d bytes each way on each\n", count, size)
	return nil
}

func exchange(c *net.TCPConn, data []byte) error {
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		sent <- errors.Join(err, c.CloseWrite())
	}()
	back, err := io.ReadAll(c)
	if err := errors.Join(err, <-sent); err != nil {
		return err
	}
	if !bytes.Equal(back, data) {
		return fmt.Errorf("%v: %d bytes came back of %d, or others", c.LocalAddr(), len(back), len(data))
	}
	return nil
}

// interfaces prints what package net knows of the machine's links.
func interfaces([]string) error {
	links, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, l := range links {
		addrs, err := l.Addrs()
		if err != nil {
			return err
		}
		fmt.Println(l.Index, l.Name, l.MTU, l.HardwareAddr, l.Flags, addrs)
	}
	return nil
}

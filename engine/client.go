package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/tcpcni/tcpcni/hostlink"
)

// What a client takes of an answer, in bytes: the engine may have been taken over.
// Only the lists of sockets, a million of them at most, and of keys are long.
const (
	answerLimit  = 64 << 10
	socketsLimit = 512 << 20
	keysLimit    = 2 << 20
)

// clientPatience bounds the wait for an answer of an engine, which serves its
// control socket in every turn of its loop.
const clientPatience = 10 * time.Second

// A Client talks to a running engine over its control socket. It is not safe
// for concurrent use.
type Client struct {
	conn *hostlink.ControlConn
}

// Dial connects to the control socket of an engine. It fails when none runs
// there.
func Dial(controlPath string) (*Client, error) {
	c, err := hostlink.DialControl(controlPath, clientPatience)
	if err != nil {
		return nil, fmt.Errorf("engine at %s: %w", controlPath, err)
	}
	return &Client{conn: c}, nil
}

// Close ends the conversation.
func (c *Client) Close() error { return c.conn.Close() }

// Owner returns the number of the process that the control socket belongs to: the
// engine's holder, or the engine where it has none. The kernel says so, not the
// engine, whose word an attacker may have.
func (c *Client) Owner() (int, error) { return c.conn.Peer() }

// Status asks how the engine does.
func (c *Client) Status() (Status, error) {
	r, err := c.ask(request{Op: opStatus}, -1)
	if err != nil {
		return Status{}, err
	}
	if r.Status == nil {
		return Status{}, errors.New("engine: answer without a status")
	}
	return *r.Status, nil
}

// Sockets lists the sandbox's sockets.
func (c *Client) Sockets() ([]SocketInfo, error) {
	r, err := c.ask(request{Op: opSockets}, -1)
	for i := range r.Sockets {
		for _, text := range []*string{&r.Sockets[i].Netid, &r.Sockets[i].State, &r.Sockets[i].Congestion} {
			*text = Printable(*text)
		}
	}
	return r.Sockets, err
}

// Tunables sets tunables, all of set or none, and returns the values of the names
// of get.
func (c *Client) Tunables(set map[string]string, get []string) ([]TunableValue, error) {
	return c.askTunables(request{Op: opTunables, Set: set, Get: get})
}

// AllTunables returns every tunable that the sandbox's system has; with others,
// those that other systems have names for, too.
func (c *Client) AllTunables(others bool) ([]TunableValue, error) {
	return c.askTunables(request{Op: opTunables, Own: true, All: others})
}

func (c *Client) askTunables(q request) ([]TunableValue, error) {
	r, err := c.ask(q, -1)
	for i := range r.Tunables {
		t := &r.Tunables[i]
		t.Name, t.Value = Printable(t.Name), Printable(t.Value)
	}
	return r.Tunables, err
}

// AddKey, DeleteKey, GetKey and FlushKeys change and read the association
// database. Only an association with exactly the same addresses and ports is
// deleted or got; its Key does not matter.
func (c *Client) AddKey(a Association) error { return c.tellKeys(keyAdd, a) }

// DeleteKey takes an association out of the database.
func (c *Client) DeleteKey(a Association) error { return c.tellKeys(keyDelete, a) }

// FlushKeys empties the database.
func (c *Client) FlushKeys() error { return c.tellKeys(keyFlush, Association{}) }

// GetKey finds one association.
func (c *Client) GetKey(a Association) (Association, error) {
	r, err := c.ask(request{Op: opKeys, Keys: &keyRequest{keyGet, a}}, -1)
	if err == nil && len(r.Keys) != 1 {
		err = errors.New("engine: answer without an association")
	}
	if err != nil {
		return Association{}, err
	}
	return r.Keys[0], nil
}

// Keys lists the database, in the order of addresses and ports, and what was
// dropped for its signature, by counter.
func (c *Client) Keys() ([]Association, map[string]uint64, error) {
	r, err := c.ask(request{Op: opKeys, Keys: &keyRequest{Verb: keyList}}, -1)
	dropped := make(map[string]uint64, len(r.Dropped))
	for name, n := range r.Dropped {
		dropped[Printable(name)] = n
	}
	return r.Keys, dropped, err
}

func (c *Client) tellKeys(verb string, a Association) error {
	_, err := c.ask(request{Op: opKeys, Keys: &keyRequest{verb, a}}, -1)
	return err
}

// Printable makes text of an engine, whose words an attacker may have chosen, fit
// for a terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// Attach hands a seccomp listener to the engine, which serves it from then on
// until the last program under its filter has ended. The caller still owns
// listener and closes it.
func (c *Client) Attach(listener *os.File) error {
	_, err := c.ask(request{Op: opAttach}, int(listener.Fd()))
	return err
}

// Stop asks the engine to end. It returns when the engine has confirmed that it
// will.
func (c *Client) Stop() error {
	_, err := c.ask(request{Op: opStop}, -1)
	return err
}

func (c *Client) ask(q request, fd int) (response, error) {
	var r response
	line, err := json.Marshal(q)
	if err != nil {
		return r, err
	}
	if len(line) > hostlink.MaxControlLine {
		return r, fmt.Errorf("engine: %s: the request has %d bytes, accepted: %d", q.Op, len(line), hostlink.MaxControlLine)
	}
	if err := c.conn.SendLine(line, fd); err != nil {
		return r, fmt.Errorf("engine: %s: %w", q.Op, err)
	}
	c.conn.Limit(answerLimit)
	switch q.Op {
	case opSockets:
		c.conn.Limit(socketsLimit)
	case opKeys:
		c.conn.Limit(keysLimit)
	}
	line, err = c.conn.ReadLine()
	if err != nil {
		return r, fmt.Errorf("engine: %s: %w", q.Op, err)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("engine: %s: %w", q.Op, err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("engine: %s: %s", q.Op, Printable(r.Error))
	}
	return r, nil
}

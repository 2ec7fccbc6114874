// Package wire stands between a server and Postgres and counts round trips: how
// often the server sends something after Postgres has answered. It reads as
// much of the protocol as tells which transaction a round trip belongs to, and
// what was asked in it.
package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
)

// Counter is a proxy that counts.
type Counter struct {
	listener net.Listener
	upstream string

	mu           sync.Mutex
	transactions []Transaction
}

// Transaction is what happened between BEGIN and COMMIT on one connection.
type Transaction struct {
	Role  string   // of SET LOCAL ROLE, without its prefix; empty: none
	Trips []string // what each round trip asked, abridged
}

// Listen starts a counter before the Postgres at an address. It ends with ctx.
func Listen(ctx context.Context, upstream string) (*Counter, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("count round trips: %w", err)
	}
	c := &Counter{listener: listener, upstream: upstream}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	go c.accept(ctx)
	return c, nil
}

// Address is where to connect instead.
func (c *Counter) Address() string { return c.listener.Addr().String() }

// Take gives the transactions that ended since the last call.
func (c *Counter) Take() []Transaction {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.transactions
	c.transactions = nil
	return all
}

func (c *Counter) accept(ctx context.Context) {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.upstream)
		if err != nil {
			_ = client.Close()
			continue
		}
		context.AfterFunc(ctx, func() { _ = client.Close(); _ = server.Close() })
		s := &session{counter: c, statements: map[string]string{}}
		go func() {
			s.forward(server, client, s.asked)
			_ = server.Close()
		}()
		go func() {
			s.forward(client, server, s.answered)
			_ = client.Close()
		}()
	}
}

// session is one connection.
type session struct {
	counter *Counter

	mu         sync.Mutex
	started    bool   // the start-up packet has passed
	pending    []byte // of a message that is not complete
	waiting    bool   // the server has answered since the client last sent
	statements map[string]string
	current    *Transaction
}

func (s *session) forward(to io.Writer, from io.Reader, see func([]byte)) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			see(buffer[:n])
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (s *session) answered([]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = true
}

func (s *session) asked(part []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.waiting
	s.waiting = false
	s.pending = append(s.pending, part...)
	var said []string
	for {
		kind, body, ok := s.next()
		if !ok {
			break
		}
		said = append(said, s.read(kind, body)...)
	}
	if s.current == nil || len(said) == 0 {
		return
	}
	for i, sql := range said {
		said[i] = abridge(sql)
	}
	text := strings.Join(slices.Compact(said), " + ")
	if fresh || len(s.current.Trips) == 0 {
		s.current.Trips = append(s.current.Trips, text)
	} else {
		s.current.Trips[len(s.current.Trips)-1] += " + " + text
	}
	if last := said[len(said)-1]; strings.HasPrefix(last, "commit") || strings.HasPrefix(last, "rollback") {
		s.counter.mu.Lock()
		s.counter.transactions = append(s.counter.transactions, *s.current)
		s.counter.mu.Unlock()
		s.current = nil
	}
}

// next takes one message of the client.
func (s *session) next() (kind byte, body []byte, ok bool) {
	head := 5
	if !s.started {
		head = 4
	}
	if len(s.pending) < head {
		return 0, nil, false
	}
	length := int(binary.BigEndian.Uint32(s.pending[head-4:]))
	if length < 4 || len(s.pending) < head-4+length {
		return 0, nil, false
	}
	if s.started {
		kind = s.pending[0]
	}
	body = s.pending[head : head-4+length]
	s.pending = s.pending[head-4+length:]
	s.started = true
	return kind, body, true
}

// read tells what a message asks.
func (s *session) read(kind byte, body []byte) []string {
	word := func() string {
		text, rest, _ := strings.Cut(string(body), "\x00")
		body = []byte(rest)
		return text
	}
	sql := ""
	switch kind {
	case 'Q':
		sql = word()
	case 'P':
		name := word()
		s.statements[name] = word()
		return nil // it is bound, or at least described, right after
	case 'B':
		word() // the portal
		sql = s.statements[word()]
	default:
		return nil
	}
	if strings.HasPrefix(sql, "begin") {
		s.current = &Transaction{}
	}
	if s.current != nil {
		for _, before := range []string{"set local role relaydesk_", "set_config('role', 'relaydesk_"} {
			if _, rest, ok := strings.Cut(sql, before); ok {
				s.current.Role = rest[:strings.IndexAny(rest+";", ";'")]
			}
		}
	}
	return []string{sql}
}

func abridge(sql string) string {
	sql = strings.Join(strings.Fields(sql), " ")
	if len(sql) > 60 {
		sql = sql[:60] + "…"
	}
	return sql
}

// Package load sends requests to a server from several clients at once, each on
// a connection of its own, and notes how long each took.
//
// Requests are bytes that were made before, and answers are read with the
// standard library's parser on the client's own goroutine: what a client costs
// is little, and the same for whatever server it talks to.
package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Client is one connection to a server.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
}

// Dial connects to a server on this machine.
func Dial(address string) (*Client, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &Client{conn: conn, in: bufio.NewReaderSize(conn, 32<<10)}, nil
}

// Close ends the connection.
func (c *Client) Close() { _ = c.conn.Close() }

// Do sends one request, which is all of its bytes, and reads the answer.
func (c *Client) Do(request []byte) (status int, body []byte, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(70 * time.Second)); err != nil {
		return 0, nil, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, fmt.Errorf("send a request: %w", err)
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("read an answer: %w", err)
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}

// Request writes a request. The headers are pairs of name and value.
func Request(buffer []byte, method, path, body string, headers ...string) []byte {
	buffer = append(buffer[:0], method...)
	buffer = append(append(append(buffer, ' '), path...), " HTTP/1.1\r\nHost: bench\r\n"...)
	for i := 0; i+1 < len(headers); i += 2 {
		buffer = append(append(append(append(buffer, headers[i]...), ": "...), headers[i+1]...), "\r\n"...)
	}
	if body != "" {
		buffer = fmt.Appendf(buffer, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return append(append(buffer, "\r\n"...), body...)
}

// Times are how long requests took.
type Times []time.Duration

// Quantile gives the time that a share q of the requests did not exceed.
func (t Times) Quantile(q float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t))
	return sorted[min(int(float64(len(sorted))*q), len(sorted)-1)]
}

// Result is what a run came to.
type Result struct {
	Times   Times
	Elapsed time.Duration
}

// PerSecond is the throughput.
func (r Result) PerSecond() float64 { return float64(len(r.Times)) / r.Elapsed.Seconds() }

// Run lets clients send one request after another for a while. next writes a
// client's next request. An answer of another status than wanted ends the run
// with an error: figures with refusals in them mean nothing.
func Run(ctx context.Context, address string, clients int, during time.Duration, want int, next func(buffer []byte) []byte) (Result, error) {
	ctx, stop := context.WithTimeout(ctx, during)
	defer stop()
	var (
		mu     sync.Mutex
		all    Times
		failed error
		wait   sync.WaitGroup
	)
	dialled := make([]*Client, clients)
	for i := range dialled {
		c, err := Dial(address)
		if err != nil {
			return Result{}, err
		}
		defer c.Close()
		dialled[i] = c
	}
	began := time.Now()
	for _, c := range dialled {
		wait.Go(func() {
			times, err := c.repeat(ctx, want, next)
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, times...), errors.Join(failed, err)
			if err != nil {
				stop()
			}
		})
	}
	wait.Wait()
	return Result{all, time.Since(began)}, failed
}

func (c *Client) repeat(ctx context.Context, want int, next func([]byte) []byte) (times Times, err error) {
	buffer := make([]byte, 0, 2048)
	times = make(Times, 0, 4096)
	for ctx.Err() == nil {
		buffer = next(buffer)
		sent := time.Now()
		status, body, err := c.Do(buffer)
		if err != nil {
			return times, err
		}
		if status != want {
			return times, fmt.Errorf("the server answered %d: %.300s", status, body)
		}
		times = append(times, time.Since(sent))
	}
	return times, nil
}

// Package cost reads from the system what processes use: the time of
// processors, and memory. It knows Linux; elsewhere it says that it doesn't.
package cost

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of /proc's times on every Linux that we know of (USER_HZ).
const tick = 10 * time.Millisecond

// CPU is what a process has used of processors, with what its children used
// that have ended, and those that live.
func CPU(pid int) (time.Duration, error) {
	self, err := stat(pid)
	if err != nil {
		return 0, err
	}
	total := self.own + self.ended
	others, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, path := range others {
		child, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if s, err := stat(child); err == nil && s.parent == pid { // those that just ended are in ended, next time
			total += s.own + s.ended
		}
	}
	return total, nil
}

// Own is what this process itself has used.
func Own() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type times struct {
	parent     int
	own, ended time.Duration
}

func stat(pid int) (times, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return times{}, fmt.Errorf("read a process's times: %w", err)
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 15 {
		return times{}, errors.New("read a process's times: too few fields")
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return n
	}
	return times{int(number(1)), time.Duration(number(11)+number(12)) * tick, time.Duration(number(13)+number(14)) * tick}, nil
}

// Parent is the process that started a process.
func Parent(pid int) (int, error) {
	s, err := stat(pid)
	return s.parent, err
}

// Memory is what a process has in memory now, in bytes: all of it, and the part
// that belongs to no file.
func Memory(pid int) (resident, anonymous int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read a process's memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, _ := strconv.ParseInt(kilobytes, 10, 64)
		switch name {
		case "VmRSS":
			resident = n << 10
		case "RssAnon":
			anonymous = n << 10
		}
	}
	if resident == 0 {
		return 0, 0, errors.New("read a process's memory: there is no VmRSS")
	}
	return resident, anonymous, nil
}

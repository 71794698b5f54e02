package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit of processor time in /proc, the same on every Linux that Go
// runs on.
const tick = 10 * time.Millisecond

// processorTime returns how long this process, and it with all its descendants,
// have used the cores. A busy machine makes calls slow; this it hardly changes.
func processorTime() (own, all time.Duration, err error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return 0, 0, fmt.Errorf("read processor times: %w", err)
	}
	type process struct {
		parent int
		used   time.Duration
	}
	processes := map[int]process{}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(dir.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + dir.Name() + "/stat")
		if err != nil {
			continue // it has ended meanwhile
		}
		// The name in parentheses may hold anything; what follows it is fixed.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 13 {
			return 0, 0, errors.New("read processor times: a line of /proc is too short")
		}
		var numbers [3]int
		for i, field := range [][]byte{fields[1], fields[11], fields[12]} {
			if numbers[i], err = strconv.Atoi(string(field)); err != nil {
				return 0, 0, fmt.Errorf("read processor times: %w", err)
			}
		}
		processes[pid] = process{numbers[0], time.Duration(numbers[1]+numbers[2]) * tick}
	}
	self := os.Getpid()
	for pid, p := range processes {
		for at := pid; at > 1; at = processes[at].parent {
			if at == self {
				all += p.used
				break
			}
		}
	}
	return processes[self].used, all, nil
}

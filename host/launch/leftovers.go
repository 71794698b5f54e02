package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	recordSuffix = ".run.json"
	// reapLimit is how long a killed process may take to be gone.
	reapLimit = 5 * time.Second
)

// runRecord is a file in Config.RunDir: one per running process, and one for the
// host, which holds the directory for sockets.
type runRecord struct {
	Pid int `json:"pid"`
	// Start tells the process from a later one with the same number.
	Start   string `json:"start"`
	RunID   string `json:"runId"`
	Sockets string `json:"sockets,omitempty"`
	// HostPid and HostStart are the host that wrote the record.
	HostPid   int    `json:"hostPid"`
	HostStart string `json:"hostStart"`
}

// ownerLives reports whether the host that wrote the record is another process
// than this one, and lives.
func (r runRecord) ownerLives() bool {
	return r.HostPid > 0 && r.HostPid != os.Getpid() && r.HostStart != "" && startTime(r.HostPid) == r.HostStart
}

// record writes the file of a process that was just started, and returns its
// path.
func (l *Launcher) record(p *process) (string, error) {
	return l.writeRecord(p.runID, runRecord{Pid: p.pid, Start: startTime(p.pid), RunID: p.runID})
}

// recordHost writes the host's own file.
func (l *Launcher) recordHost(sockets string) (string, error) {
	return l.writeRecord(l.id, runRecord{Sockets: sockets})
}

func (l *Launcher) writeRecord(name string, rec runRecord) (string, error) {
	path := filepath.Join(l.cfg.RunDir, name+recordSuffix)
	rec.HostPid = os.Getpid()
	rec.HostStart = startTime(rec.HostPid)
	raw, err := json.Marshal(rec)
	if err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("write run record: %w", err)
	}
	return path, nil
}

// ReapLeftovers kills what is still alive of an earlier life of the host that
// used runDir, and removes what it has left there. It returns the number of
// processes that it killed, once they are gone. The caller makes sure that no
// other host uses runDir, and calls it before it starts anything: an adapter of
// an earlier life may still write to its CRM. What belongs to another host that
// lives is spared and logged all the same: its record came here with a copy of
// its data, and its adapters serve calls.
func ReapLeftovers(runDir string, log *slog.Logger) (killed int, err error) {
	entries, err := os.ReadDir(runDir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read run directory: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), recordSuffix) {
			continue
		}
		n, err := reapRecord(filepath.Join(runDir, e.Name()), log)
		killed += n
		if err != nil {
			errs = append(errs, fmt.Errorf("reap %s: %w", e.Name(), err))
		}
	}
	return killed, errors.Join(errs...)
}

// reapRecord does for one file what ReapLeftovers does for all. A file that was
// cut off when the host died is removed: its process has no lifeline either.
func reapRecord(path string, log *slog.Logger) (killed int, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var rec runRecord
	if err := json.Unmarshal(raw, &rec); err != nil {
		log.Warn("unreadable run record removed", "file", filepath.Base(path), "error", err)
		return 0, os.Remove(path)
	}
	if rec.ownerLives() {
		log.Warn("run record of a living host spared", "file", filepath.Base(path), "pid", rec.Pid, "host_pid", rec.HostPid)
		return 0, nil
	}
	if rec.Pid > 1 && rec.Start != "" && startTime(rec.Pid) == rec.Start {
		log.Warn("adapter process of an earlier life killed", "pid", rec.Pid)
		killGroup(rec.Pid)
		killOne(rec.Pid)
		killed++
		if err := awaitGone(rec); err != nil {
			return killed, err // the file stays for the next try
		}
	}
	if rec.RunID != "" {
		killed += killDescendants(0, rec.RunID)
	}
	return killed, errors.Join(removeSockets(rec.Sockets), os.Remove(path))
}

// awaitGone waits until a killed process that is not a child has ended.
func awaitGone(rec runRecord) error {
	for deadline := time.Now().Add(reapLimit); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if startTime(rec.Pid) != rec.Start {
			return nil
		}
	}
	return fmt.Errorf("process %d does not end", rec.Pid)
}

// killGroup and killOne are the only places that send a signal. Numbers below 2
// mean something else to the kernel: the own group, everybody, init. A signal
// fails when its target has just ended, which is what it is for.
func killGroup(pid int) {
	if pid > 1 {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}

func killOne(pid int) {
	if pid > 1 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// killDescendants kills every process of the session (0: of none) or with the
// run id, and waits until they are gone. It returns how many there were.
func killDescendants(session int, runID string) (killed int) {
	const looksWhenUnsure = 4
	struck := make(map[int]string) // who they were
	wait := 500 * time.Microsecond
	deadline := time.Now().Add(reapLimit)
	for looks := 0; time.Now().Before(deadline); looks++ {
		left, unsure := descendants(session, runID)
		for _, pid := range left {
			struck[pid] = startTime(pid)
			killOne(pid)
		}
		for pid, start := range struck {
			if start != "" && startTime(pid) == start {
				unsure, looks = true, 0 // it is ending
			}
		}
		if len(left) == 0 && (!unsure || looks >= looksWhenUnsure) {
			break
		}
		time.Sleep(wait)
		wait = min(2*wait, 20*time.Millisecond)
	}
	return len(struck)
}

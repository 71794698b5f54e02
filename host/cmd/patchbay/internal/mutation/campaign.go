package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// campaign makes mutations in copies of a repository.
type campaign struct {
	root      string // of the repository; nothing is written there
	mutations []mutation
	workers   int
	timeout   time.Duration // of one test
	progress  io.Writer     // a line for each mutation, as it is done
}

// result is what became of one mutation.
type result struct {
	mutation
	verdict verdict
	took    time.Duration
	output  string // of the test, or the compiler
}

// run makes every mutation and returns what became of them, in the order of the
// list. When it returns, the copies are gone.
func (c *campaign) run(ctx context.Context) (_ []result, err error) {
	temp, err := os.MkdirTemp("", "patchbay-mutation-")
	if err != nil {
		return nil, fmt.Errorf("make a place for the copies: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	copies, err := c.copies(ctx, temp)
	if err != nil {
		return nil, err
	}
	if err := fits(c.mutations, copies[0]); err != nil {
		return nil, err
	}
	if err := c.baseline(ctx, copies[0]); err != nil {
		return nil, err
	}
	return c.all(ctx, copies)
}

// copies copies the repository, once for each worker.
func (c *campaign) copies(ctx context.Context, temp string) ([]string, error) {
	files, err := repositoryFiles(ctx, c.root)
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range min(c.workers, len(c.mutations)) {
		dir := filepath.Join(temp, strconv.Itoa(i))
		if err := copyTree(c.root, dir, files); err != nil {
			return nil, err
		}
		out = append(out, dir)
	}
	return out, nil
}

// fits makes sure that every mutation finds its text in the tree.
func fits(all []mutation, dir string) error {
	var faults []error
	for _, m := range all {
		if _, _, err := m.in(dir); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", m.rule, err))
		}
	}
	return errors.Join(faults...)
}

// in returns the text of the mutation's file in a tree, whole and without the rule.
func (m *mutation) in(dir string) (whole, without string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, m.file))
	if err != nil {
		return "", "", err
	}
	without, err = m.apply(string(text))
	return string(text), without, err
}

// baseline makes sure that the tests pass while every rule is there: one that fails
// by itself shows nothing.
func (c *campaign) baseline(ctx context.Context, dir string) error {
	began := time.Now()
	var packages, names []string
	for _, m := range c.mutations {
		packages, names = append(packages, m.pkg), append(names, m.test)
	}
	slices.Sort(packages)
	slices.Sort(names)
	packages, names = slices.Compact(packages), slices.Compact(names)
	got, err := goTest(ctx, dir, packages, names, time.Duration(len(names))*c.timeout)
	if err != nil {
		return err
	}
	var faults []string
	for _, m := range c.mutations {
		name := m.pkg + " " + m.test
		if got.verdict(m.pkg, m.test) != survived && !slices.Contains(faults, name) {
			faults = append(faults, name)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("these tests do not pass while every rule is there:\n%s\n%s", strings.Join(faults, "\n"), got.output)
	}
	fmt.Fprintf(c.progress, "the tests pass while every rule is there (%s)\n", seconds(time.Since(began)))
	return nil
}

// all makes every mutation, one at a time in each copy.
func (c *campaign) all(ctx context.Context, copies []string) ([]result, error) {
	results := make([]result, len(c.mutations))
	next := make(chan int)
	var (
		workers sync.WaitGroup
		mu      sync.Mutex // guards what follows, and progress
		done    int
		failed  error
	)
	for _, dir := range copies {
		workers.Go(func() {
			for i := range next {
				r, err := c.one(ctx, dir, c.mutations[i])
				mu.Lock()
				results[i], failed = r, errors.Join(failed, err)
				done++
				fmt.Fprintf(c.progress, "%3d/%d %-9s %s\n", done, len(results), cmp.Or(r.verdict, "-"), r.rule)
				mu.Unlock()
			}
		})
	}
	for i := range c.mutations {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return results, failed
}

// one makes one mutation in the copy, runs its test, and puts the file back.
func (c *campaign) one(ctx context.Context, dir string, m mutation) (r result, err error) {
	r.mutation = m
	whole, without, err := m.in(dir)
	if err != nil {
		return r, err
	}
	path := filepath.Join(dir, m.file)
	defer func() { err = errors.Join(err, os.WriteFile(path, []byte(whole), 0o600)) }()
	if err := os.WriteFile(path, []byte(without), 0o600); err != nil {
		return r, err
	}
	began := time.Now()
	got, err := goTest(ctx, dir, []string{m.pkg}, []string{m.test}, c.timeout)
	if err != nil {
		return r, fmt.Errorf("%s: %w", m.rule, err)
	}
	r.verdict, r.took, r.output = got.verdict(m.pkg, m.test), time.Since(began), got.output
	return r, nil
}

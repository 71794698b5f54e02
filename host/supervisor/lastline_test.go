package supervisor

import "testing"

func TestLastLine(t *testing.T) {
	t.Parallel()
	const record = `{"@level":"info","@message":"note created","@timestamp":"2026-01-02T03:04:05Z"}`
	for name, c := range map[string]struct {
		stderr []string
		want   string
	}{
		"nothing":                 {nil, ""},
		"words":                   {[]string{"one", "last words"}, "last words"},
		"a record":                {[]string{record}, ""},
		"words before a record":   {[]string{"warming up", record, " " + record}, ""},
		"a record that was cut":   {[]string{"warming up", record[:40] + "..."}, ""},
		"words after a record":    {[]string{record, "Killed by: somebody"}, "Killed by: somebody"},
		"panic":                   {[]string{record, "panic: boom", "", "goroutine 1 [running]:", "main.main()", "\t/main.go:7 +0x1d"}, "panic: boom"},
		"runtime":                 {[]string{record, "fatal error: all goroutines are asleep - deadlock!", "goroutine 1 [select]:"}, "fatal error: all goroutines are asleep - deadlock!"},
		"panic that was survived": {[]string{"panic: boom", record}, ""},
		"panic before its stacks": {[]string{"panic: boom", "(70 lines omitted)", "goroutine 99 [select]:"}, "panic: boom"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := lastLine(Exit{Stderr: c.stderr}); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

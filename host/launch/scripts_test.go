package launch

// misbehave plays the scripts that sdktest does not have, before the adapter
// serves. It reports whether the process is to end.
func misbehave(script string) bool {
	switch script {
	default:
		return false
	}
}

package launch

// dropDeathSignal does nothing: there is no such signal here.
func dropDeathSignal() {}

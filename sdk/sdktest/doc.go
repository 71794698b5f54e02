// Package sdktest is for the tests of adapters, and of hosts.
//
// Run holds an adapter against the contract of package sdk, each case in this
// process and again over a real gRPC connection:
//
//	func TestContract(t *testing.T) {
//		sdktest.Run(t, func(t *testing.T) sdk.Adapter { return newAdapter(t, fakeCRM(t)) })
//	}
//
// Request and Message make input, Pair puts an adapter at the other end of a
// connection, and Scripted is an adapter that misbehaves as told, for tests of
// what a host does about it.
package sdktest

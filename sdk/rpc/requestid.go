package rpc

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// requestIDKey is the gRPC metadata key under which a request id travels.
const requestIDKey = "patchbay-request-id"

// maxRequestIDBytes is the longest request id that travels.
const maxRequestIDBytes = 128

type requestIDContext struct{}

// WithRequestID returns a context that carries the id of the caller's request.
// The client sends it with each call; on the adapter's side it stands in the
// context of the call. An id that is empty, longer than 128 bytes or not
// printable ASCII is left out.
func WithRequestID(ctx context.Context, id string) context.Context {
	if !sendableRequestID(id) {
		return ctx
	}
	return context.WithValue(ctx, requestIDContext{}, id)
}

// RequestID returns the request id in ctx, "" when there is none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDContext{}).(string)
	return id
}

func sendableRequestID(id string) bool {
	if id == "" || len(id) > maxRequestIDBytes {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

// outgoing adds the request id to what is sent.
func outgoing(ctx context.Context) context.Context {
	if id := RequestID(ctx); id != "" {
		return metadata.AppendToOutgoingContext(ctx, requestIDKey, id)
	}
	return ctx
}

// incoming takes the request id from what was received.
func incoming(ctx context.Context) context.Context {
	if ids := metadata.ValueFromIncomingContext(ctx, requestIDKey); len(ids) > 0 {
		return WithRequestID(ctx, ids[0])
	}
	return ctx
}

package rpc

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/patchbay-crm/patchbay/sdk"
	adapterv1 "github.com/patchbay-crm/patchbay/sdk/proto/patchbay/adapter/v1"
)

// EncodeRequest returns the request in its wire form, for keeping it. The form
// holds the AuthHeader in clear: encrypt it before it is stored.
func EncodeRequest(req *sdk.AddMessageLogRequest) ([]byte, error) {
	p, err := requestToProto(req)
	if err != nil {
		return nil, err
	}
	out, err := proto.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return out, nil
}

// DecodeRequest reads what EncodeRequest wrote.
func DecodeRequest(data []byte) (*sdk.AddMessageLogRequest, error) {
	var p adapterv1.AddMessageLogRequest
	if err := proto.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	return requestFromProto(&p)
}

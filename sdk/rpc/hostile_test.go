package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	adapterv1 "github.com/patchbay-crm/patchbay/sdk/proto/patchbay/adapter/v1"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// service is an adapter of another make, which answers what it likes.
type service struct {
	adapterv1.UnimplementedAdapterServiceServer
	calls atomic.Int32
	add   func() (*adapterv1.AddMessageLogResponse, error)
}

func (s *service) AddMessageLog(context.Context, *adapterv1.AddMessageLogRequest) (*adapterv1.AddMessageLogResponse, error) {
	s.calls.Add(1)
	return s.add()
}

func (s *service) FindMessageLog(context.Context, *adapterv1.FindMessageLogRequest) (*adapterv1.FindMessageLogResponse, error) {
	_, err := s.add()
	return nil, err
}

// TestHostileAnswers shows that a host checks for itself, and never calls twice.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	id := func(text string) func() (*adapterv1.AddMessageLogResponse, error) {
		return func() (*adapterv1.AddMessageLogResponse, error) {
			return &adapterv1.AddMessageLogResponse{LogId: text, LogUrl: "javascript:alert(1)"}, nil
		}
	}
	for name, c := range map[string]struct {
		add  func() (*adapterv1.AddMessageLogResponse, error)
		code fault.Code
	}{
		"empty id":    {id(""), fault.AdapterFault},
		"huge id":     {id(strings.Repeat("9", 513)), fault.AdapterFault},
		"control":     {id("a\nb"), fault.AdapterFault},
		"huge answer": {id(strings.Repeat("9", rpc.MaxResponseBytes)), fault.Outcome},
		"unavailable": {func() (*adapterv1.AddMessageLogResponse, error) {
			return nil, status.Error(codes.Unavailable, "try again")
		}, fault.Outcome},
		"plain": {func() (*adapterv1.AddMessageLogResponse, error) { return nil, errors.New("no") }, fault.Outcome},
		"huge details": {func() (*adapterv1.AddMessageLogResponse, error) {
			st, err := status.New(codes.Internal, strings.Repeat("x", 100_000)).WithDetails(&errdetails.ErrorInfo{
				Domain: "patchbay", Reason: "crm_rejected", Metadata: map[string]string{"class": "permanent"},
			})
			if err != nil {
				return nil, err
			}
			return nil, st.Err()
		}, fault.Outcome},
		"huge trailer": {func() (*adapterv1.AddMessageLogResponse, error) {
			return nil, status.Error(codes.Internal, strings.Repeat("é", 100_000))
		}, fault.Outcome},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{add: c.add}
			_, err := sdktest.PairService(t, s).AddMessageLog(t.Context(), request())
			if fault.CodeOf(err) != c.code || fault.ClassOf(err) != fault.Unknown {
				t.Errorf("%v", err)
			}
			if got, want := errors.Is(err, rpc.ErrBrokenOff), name == "unavailable"; got != want {
				t.Errorf("broken off: %v, want %v: %v", got, want, err)
			}
			if n := s.calls.Load(); n != 1 {
				t.Errorf("called %d times", n)
			}
		})
	}
	good := &service{add: id("1")}
	if resp, err := sdktest.PairService(t, good).AddMessageLog(t.Context(), request()); err != nil || resp.LogURL != "" {
		t.Errorf("%+v, %v", resp, err)
	}
}

// TestSecretsOfTheCallComeBackRedacted has an adapter of another make that puts
// the call's credentials into everything that it says.
func TestSecretsOfTheCallComeBackRedacted(t *testing.T) {
	t.Parallel()
	ours, err := status.New(codes.Internal, "refused "+token).WithDetails(&errdetails.ErrorInfo{
		Domain: "patchbay", Reason: "crm_rejected", Metadata: map[string]string{"class": "permanent"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, thrown := range map[string]error{
		"fault":  ours.Err(),
		"status": status.Error(codes.Unknown, "TypeError: Bearer "+token),
	} {
		client := sdktest.PairService(t, &service{add: func() (*adapterv1.AddMessageLogResponse, error) { return nil, thrown }})
		_, err := client.AddMessageLog(t.Context(), request())
		_, searching := client.FindMessageLog(t.Context(), sdktest.FindRequest(request()))
		for _, err := range []error{err, searching} {
			if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, token) || !strings.Contains(text, "[redacted]") {
				t.Errorf("%s arrived as %s", name, text)
			}
		}
	}
	logged := func(url string) *sdk.AddMessageLogResponse {
		client := sdktest.PairService(t, &service{add: func() (*adapterv1.AddMessageLogResponse, error) {
			return &adapterv1.AddMessageLogResponse{
				LogId: "1", LogUrl: url, ReturnMessage: &adapterv1.ReturnMessage{Message: "logged with " + token},
			}, nil
		}})
		resp, err := client.AddMessageLog(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	resp := logged("https://crm.example.com/notes/1?token=" + token)
	if resp.LogID != "1" || resp.LogURL != "" || resp.ReturnMessage.Message != "logged with [redacted]" {
		t.Errorf("arrived as %+v, %+v", resp, resp.ReturnMessage)
	}
	if resp = logged("https://crm.example.com/notes/1"); resp.LogURL == "" {
		t.Error("an address without credentials was dropped")
	}
}

// TestHealthCheckThatThrows: an adapter that answers, if only with a status, is
// alive.
func TestHealthCheckThatThrows(t *testing.T) {
	t.Parallel()
	// The service of another make has no CheckHealth: UNIMPLEMENTED.
	client := sdktest.PairService(t, &service{})
	if got, err := client.CheckHealth(t.Context()); err != nil || got.Serving || got.Message == "" {
		t.Errorf("health %+v, %v; want an answer that it does not serve", got, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := client.CheckHealth(ended); !errors.Is(err, rpc.ErrBrokenOff) {
		t.Errorf("health %+v, %v; want no answer", got, err)
	}
}

package rpc

import (
	"net/url"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/patchbay-crm/patchbay/sdk"
	adapterv1 "github.com/patchbay-crm/patchbay/sdk/proto/patchbay/adapter/v1"
)

const (
	// maxLogURLBytes is the longest address of a log page that a host takes.
	maxLogURLBytes = 2 << 10
	// maxFound is the largest number of records that a host takes from a search.
	maxFound = 100
	// maxSDKBytes is the longest name of an SDK that a host takes.
	maxSDKBytes = 128
)

// answerToProto writes the answer to AddMessageLog for the wire. The
// record exists, so what the host would not take, or protobuf not encode, is cut
// or left out and no error.
func answerToProto(r *sdk.AddMessageLogResponse) *adapterv1.AddMessageLogResponse {
	return &adapterv1.AddMessageLogResponse{
		LogId: r.LogID, LogUrl: webAddress(r.LogURL), ReturnMessage: returnMessageToProto(r.ReturnMessage),
	}
}

// answerFromProto reads an answer to AddMessageLog and checks it. scrub takes the
// call's secret out of texts; an address that holds it leads nowhere without it
// and is dropped. Its error is that of sdk.CheckLogID.
func answerFromProto(p *adapterv1.AddMessageLogResponse, scrub func(string) string) (*sdk.AddMessageLogResponse, error) {
	if err := sdk.CheckLogID(p.GetLogId()); err != nil {
		return nil, err
	}
	logURL := webAddress(p.GetLogUrl())
	if scrub(logURL) != logURL {
		logURL = ""
	}
	return &sdk.AddMessageLogResponse{
		LogID: p.GetLogId(), LogURL: logURL,
		ReturnMessage: returnMessageFromProto(p.GetReturnMessage(), scrub),
	}, nil
}

// webAddress returns text when it is an absolute http or https address without
// credentials, else "".
func webAddress(text string) string {
	if len(text) > maxLogURLBytes || !utf8.ValidString(text) {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	return text
}

func returnMessageToProto(m *sdk.ReturnMessage) *adapterv1.ReturnMessage {
	if m == nil {
		return nil
	}
	return &adapterv1.ReturnMessage{
		Message:     clip(m.Message, maxTextBytes),
		MessageType: clip(string(m.MessageType), maxTextBytes),
		TtlMillis:   m.TTL.Milliseconds(),
	}
}

func returnMessageFromProto(p *adapterv1.ReturnMessage, scrub func(string) string) *sdk.ReturnMessage {
	if p.GetMessage() == "" {
		return nil
	}
	kind := sdk.MessageType(p.GetMessageType())
	switch kind {
	case sdk.Success, sdk.Warning, sdk.Danger:
	default:
		kind = sdk.Warning
	}
	millis := min(max(p.GetTtlMillis(), 0), maxWait.Milliseconds())
	return &sdk.ReturnMessage{
		Message: clip(scrub(p.GetMessage()), maxTextBytes), MessageType: kind,
		TTL: time.Duration(millis) * time.Millisecond,
	}
}

func findRequestToProto(r *sdk.FindMessageLogRequest) (*adapterv1.FindMessageLogRequest, error) {
	original, err := requestToProto(r.Original)
	if err != nil {
		return nil, err
	}
	return &adapterv1.FindMessageLogRequest{
		Original: original, IdempotencyKey: r.IdempotencyKey,
		SentAfter: timeToProto(r.SentAfter), SentBefore: timeToProto(r.SentBefore), Lent: r.Lent,
	}, nil
}

func findRequestFromProto(p *adapterv1.FindMessageLogRequest) (*sdk.FindMessageLogRequest, error) {
	original, err := requestFromProto(p.GetOriginal())
	if err != nil {
		return nil, err
	}
	return &sdk.FindMessageLogRequest{
		Original: original, IdempotencyKey: p.GetIdempotencyKey(),
		SentAfter: timeFromProto(p.GetSentAfter()), SentBefore: timeFromProto(p.GetSentBefore()), Lent: p.GetLent(),
	}, nil
}

// foundToProto writes the outcome of a search for the wire. An answer that the
// host could not take is "cannot tell".
func foundToProto(r *sdk.FindMessageLogResponse) *adapterv1.FindMessageLogResponse {
	switch {
	case r.Verdict == sdk.VerdictFound && usableLogIDs(r.LogIDs):
		return &adapterv1.FindMessageLogResponse{Verdict: &adapterv1.FindMessageLogResponse_Found{
			Found: &adapterv1.Found{LogIds: r.LogIDs, Complete: r.Complete, ReturnMessage: returnMessageToProto(r.ReturnMessage)},
		}}
	case r.Verdict == sdk.VerdictNotFound:
		return &adapterv1.FindMessageLogResponse{Verdict: &adapterv1.FindMessageLogResponse_NotFound{
			NotFound: &adapterv1.NotFound{AsOf: timeToProto(r.AsOf)},
		}}
	}
	cannot := &adapterv1.CannotTell{}
	if r.RetryAfter > 0 {
		cannot.RetryAfter = durationpb.New(min(r.RetryAfter, maxWait))
	}
	return &adapterv1.FindMessageLogResponse{Verdict: &adapterv1.FindMessageLogResponse_CannotTell{CannotTell: cannot}}
}

// foundFromProto reads the outcome of a search and checks it, at the time now.
// Log IDs that cannot be, too many of them, and a "not found" without a moment
// for which it holds are "cannot tell". A moment in the future is now. scrub takes
// the call's secret out of texts.
func foundFromProto(p *adapterv1.FindMessageLogResponse, now time.Time, scrub func(string) string) *sdk.FindMessageLogResponse {
	switch v := p.GetVerdict().(type) {
	case *adapterv1.FindMessageLogResponse_Found:
		if ids := v.Found.GetLogIds(); usableLogIDs(ids) {
			return &sdk.FindMessageLogResponse{
				Verdict: sdk.VerdictFound, LogIDs: ids, Complete: v.Found.GetComplete(),
				ReturnMessage: returnMessageFromProto(v.Found.GetReturnMessage(), scrub),
			}
		}
	case *adapterv1.FindMessageLogResponse_NotFound:
		asOf := timeFromProto(v.NotFound.GetAsOf())
		if asOf.After(now) {
			asOf = now
		}
		if !asOf.IsZero() {
			return sdk.NotFound(asOf)
		}
	case *adapterv1.FindMessageLogResponse_CannotTell:
		return sdk.CannotTell(boundedWait(v.CannotTell.GetRetryAfter()))
	}
	return sdk.CannotTell(0)
}

func usableLogIDs(ids []string) bool {
	for _, id := range ids {
		if sdk.CheckLogID(id) != nil {
			return false
		}
	}
	return len(ids) > 0 && len(ids) <= maxFound
}

func infoToProto(i sdk.Info) *adapterv1.GetInfoResponse {
	out := &adapterv1.GetInfoResponse{Sdk: i.SDK}
	for _, c := range i.Capabilities {
		out.Capabilities = append(out.Capabilities, string(c))
	}
	return out
}

// infoFromProto keeps the capabilities that this SDK knows, each once.
func infoFromProto(p *adapterv1.GetInfoResponse) sdk.Info {
	out := sdk.Info{SDK: clip(p.GetSdk(), maxSDKBytes)}
	for _, name := range p.GetCapabilities() {
		c := sdk.Capability(name)
		switch c {
		case sdk.CanAddMessageLog, sdk.CanFindMessageLog, sdk.CanCheckHealth:
			if !out.Can(c) {
				out.Capabilities = append(out.Capabilities, c)
			}
		}
	}
	return out
}

func healthToProto(r *sdk.CheckHealthResponse, scrub func(string) string) *adapterv1.CheckHealthResponse {
	return &adapterv1.CheckHealthResponse{Serving: r.Serving, Message: clip(scrub(r.Message), maxTextBytes)}
}

func healthFromProto(p *adapterv1.CheckHealthResponse) *sdk.CheckHealthResponse {
	return &sdk.CheckHealthResponse{Serving: p.GetServing(), Message: clip(p.GetMessage(), maxTextBytes)}
}

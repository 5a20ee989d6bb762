package countersign

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The kinds of failures, for errors.Is. An [*Error] of none of them is a defect, or an answer that fits nothing below.
var (
	ErrInvalidRequest   = errors.New("the request is at fault; sending it again cannot help")
	ErrUnauthenticated  = errors.New("who the caller or the client is could not be established")
	ErrPermissionDenied = errors.New("known, but not allowed")
	ErrNotFound         = errors.New("the resource does not exist")
	ErrConflict         = errors.New("exists already, changed meanwhile, or in the wrong state")
	ErrUnavailable      = errors.New("the gateway, or a part that it needs, cannot answer now")
	ErrDeadlineExceeded = errors.New("the time for the call is over; whether it took effect is not known")
)

const (
	errorDomain     = "countersign"
	requestIDHeader = "x-request-id"
	dpopNonceHeader = "dpop-nonce"
)

// FieldViolation is a field of the request, as a path in proto notation, and the rule that it breaks.
type FieldViolation struct {
	Field       string
	Description string
}

// Error is why a call failed. Switch on its kind with errors.Is, or on Reason where more than the kind matters.
// Messages are for a log and may change.
type Error struct {
	// Kind is one of the variables above; nil for a defect, and where the caller cancelled (context.Canceled).
	Kind error
	// Code is the gRPC status code.
	Code codes.Code
	// Reason is stable: a name of countersignv1.ErrorReason without its prefix, or one that is newer than this client.
	// Empty where the failure did not come from the gateway's rules: no connection, a deadline that passed here.
	Reason string
	// Message is for a human.
	Message string
	// Metadata is the data of the reason, as ErrorInfo carries it.
	Metadata map[string]string
	// FieldViolations says which fields are at fault.
	FieldViolations []FieldViolation
	// RetryAfter is how long to wait before the same request may succeed; nil where the gateway did not say.
	RetryAfter *time.Duration
	// RequestID names the call in the gateway's log.
	RequestID string
	// DPoPNonce is what the next DPoP proof must carry, where the gateway asks for it (RFC 9449 §8).
	DPoPNonce string

	cause error
}

// Error returns the reason or code, the message, the fields at fault and the request id.
func (e *Error) Error() string {
	name := e.Reason
	if name == "" {
		name = e.Code.String()
	}
	parts := []string{name + ": " + e.Message}
	for _, each := range e.FieldViolations {
		parts = append(parts, each.Field+": "+each.Description)
	}
	if e.RequestID != "" {
		parts = append(parts, "request id "+e.RequestID)
	}
	return strings.Join(parts, "; ")
}

// Unwrap gives errors.Is the kind, and what gRPC or the context reported.
func (e *Error) Unwrap() []error {
	var wrapped []error
	for _, each := range []error{e.Kind, e.cause} {
		if each != nil {
			wrapped = append(wrapped, each)
		}
	}
	return wrapped
}

// GRPCStatus is what gRPC reported; status.Code and status.FromError read it.
func (e *Error) GRPCStatus() *status.Status {
	return status.New(e.Code, e.Message)
}

// FromStatus is the error that a google.rpc.Status describes, such as that of an item of BatchMintTokens. Details of
// other domains and unknown types are passed over. It is nil where the status is absent or OK.
func FromStatus(proto *statuspb.Status) *Error {
	if proto == nil || proto.GetCode() == int32(codes.OK) {
		return nil
	}
	found := status.FromProto(proto)
	result := &Error{Code: found.Code(), Message: found.Message(), Kind: kindOfCode[found.Code()]}
	for _, detail := range found.Details() {
		switch each := detail.(type) {
		case *errdetails.ErrorInfo:
			if each.GetDomain() != errorDomain {
				continue
			}
			result.Reason, result.Metadata = each.GetReason(), each.GetMetadata()
			if kind, known := kindOfReason[each.GetReason()]; known {
				result.Kind = kind
			}
		case *errdetails.BadRequest:
			for _, field := range each.GetFieldViolations() {
				violation := FieldViolation{Field: field.GetField(), Description: field.GetDescription()}
				result.FieldViolations = append(result.FieldViolations, violation)
			}
		case *errdetails.RetryInfo:
			delay := each.GetRetryDelay().AsDuration()
			result.RetryAfter = &delay
		}
	}
	return result
}

// errorOfCall is the error for a failed call. An id that the gateway sent back takes the place of the one sent.
func errorOfCall(ctx context.Context, failure error, requestID string, header, trailer metadata.MD) *Error {
	result := FromStatus(status.Convert(failure).Proto())
	result.cause = failure
	result.RequestID = requestID
	for _, entries := range []metadata.MD{trailer, header} {
		if values := entries.Get(requestIDHeader); len(values) > 0 {
			result.RequestID = values[0]
			break
		}
	}
	if values := trailer.Get(dpopNonceHeader); len(values) > 0 {
		result.DPoPNonce = values[0]
	}
	ended := ctx.Err()
	if ended == nil && result.Code == codes.DeadlineExceeded {
		// The gateway has the same deadline, and may be the first to see that it passed.
		ended = context.DeadlineExceeded
	}
	if ended != nil {
		// The context ended here, whatever the connection made of it.
		result.cause = errors.Join(ended, failure)
		if errors.Is(ended, context.DeadlineExceeded) {
			result.Kind, result.Code = ErrDeadlineExceeded, codes.DeadlineExceeded
		} else {
			result.Kind, result.Code = nil, codes.Canceled
		}
	} else if result.Code == codes.Canceled {
		// Nobody on this side cancelled. A server that began to shut down a moment ago cancels what it has not begun,
		// so the call is as safe to repeat as an UNAVAILABLE one.
		result.Kind, result.Code = ErrUnavailable, codes.Unavailable
	}
	return result
}

// localError is a failure that no server reported.
func localError(code codes.Code, format string, arguments ...any) *Error {
	cause := fmt.Errorf(format, arguments...)
	return &Error{Kind: kindOfCode[code], Code: code, Message: cause.Error(), cause: cause}
}

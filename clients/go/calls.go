package countersign

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
)

// caller does for every call what the generated stubs do not.
type caller struct {
	timeout time.Duration
	retry   RetryPolicy
	token   func(context.Context) (string, error)
}

// unary makes the attempts of one call, under one request id and one deadline.
func (c *caller) unary(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if _, given := ctx.Deadline(); !given {
		limited, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		ctx = limited
	}
	ctx, requestID := withRequestID(ctx)
	request = identified(request)
	repeat := mayRepeat(method, request) && !carriesProof(ctx)
	for attempt := 1; ; attempt++ {
		outgoing, refused := c.authorized(ctx)
		if refused != nil {
			return refused
		}
		var header, trailer metadata.MD
		observed := append(options[:len(options):len(options)], grpc.Header(&header), grpc.Trailer(&trailer))
		failure := invoke(outgoing, method, request, reply, connection, observed...)
		if failure == nil {
			return nil
		}
		err := errorOfCall(ctx, failure, requestID, header, trailer)
		if !repeat || ctx.Err() != nil || connection.GetState() == connectivity.Shutdown {
			return err
		}
		pause, due := c.retry.pauseAfter(attempt, err, remaining(ctx))
		if !due {
			return err
		}
		if !slept(ctx, pause) {
			return errorOfCall(ctx, failure, requestID, header, trailer)
		}
	}
}

// stream opens a stream; what it reports becomes an [*Error] as well. Opening it anew is left to the caller, who knows
// where to go on, as [Client.WatchRevocations] and [Client.WatchPresentationRequest] do.
func (c *caller) stream(
	ctx context.Context, description *grpc.StreamDesc, connection *grpc.ClientConn, method string,
	open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx, requestID := withRequestID(ctx)
	outgoing, refused := c.authorized(ctx)
	if refused != nil {
		return nil, refused
	}
	opened, failure := open(outgoing, description, connection, method, options...)
	if failure != nil {
		return nil, errorOfCall(ctx, failure, requestID, nil, nil)
	}
	return &stream{ClientStream: opened, caller: ctx, requestID: requestID}, nil
}

// stream turns the failures of a stream into an [*Error].
type stream struct {
	grpc.ClientStream
	caller    context.Context // The stream's own ends with the stream, whoever ended that.
	requestID string
}

func (s *stream) RecvMsg(message any) error {
	failure := s.ClientStream.RecvMsg(message)
	if failure == nil || errors.Is(failure, io.EOF) {
		return failure
	}
	return errorOfCall(s.caller, failure, s.requestID, nil, s.Trailer())
}

// withRequestID adds the id under which the gateway logs the call, unless the caller chose one.
func withRequestID(ctx context.Context) (context.Context, string) {
	sent, _ := metadata.FromOutgoingContext(ctx)
	if values := sent.Get(requestIDHeader); len(values) > 0 {
		return ctx, values[0]
	}
	id := newID()
	return metadata.AppendToOutgoingContext(ctx, requestIDHeader, id), id
}

// carriesProof says whether the caller sent a DPoP proof, which is good for one attempt (RFC 9449 §11.1).
func carriesProof(ctx context.Context) bool {
	sent, _ := metadata.FromOutgoingContext(ctx)
	return len(sent.Get("dpop")) > 0
}

// authorized adds the caller's token, where there is one.
func (c *caller) authorized(ctx context.Context) (context.Context, error) {
	if c.token == nil {
		return ctx, nil
	}
	token, err := c.token(ctx)
	if err != nil {
		return nil, localError(codes.Unauthenticated, "the caller's token: %w", err)
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), nil
}

// slept waits and says whether the context lasted that long.
func slept(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package countersign

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/protobuf/proto"

	pb "countersign.test/clients/go/countersignv1"
)

// A presentation request lives for an hour at most; what is left is for verifying its answer.
const watchedAtMost = 4000 * time.Second

// WatchPresentationRequest yields a request as it is, and then whenever it changes; it ends after a state that is
// final. name is that of the request: presentationRequests/{request}.
//
// The stream is opened again where it breaks off, as often as the retry policy allows without an answer in between;
// what was yielded before is not yielded again. States that followed each other meanwhile are seen as the last of
// them. Where ctx has no deadline there is one that is longer than a request lives. A failure is yielded last, with a
// nil request; leaving the loop ends the stream.
func (client *Client) WatchPresentationRequest(
	ctx context.Context, name string,
) iter.Seq2[*pb.PresentationRequest, error] {
	return func(yield func(*pb.PresentationRequest, error) bool) {
		if _, given := ctx.Deadline(); !given {
			limited, cancel := context.WithTimeout(ctx, watchedAtMost)
			defer cancel()
			ctx = limited
		}
		var last *pb.PresentationRequest
		open := func(ctx context.Context) (grpc.ServerStreamingClient[pb.WatchPresentationRequestResponse], error) {
			return client.Presentations.WatchPresentationRequest(ctx, &pb.WatchPresentationRequestRequest{Name: name})
		}
		err := resumed(ctx, client, open, func(response *pb.WatchPresentationRequestResponse) bool {
			request := response.GetRequest()
			if proto.Equal(request, last) {
				return true
			}
			last = request
			return yield(request, nil) && !final(request.GetState())
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// WatchRevocations yields revocations as they happen, after cursor, or all that still matter where it is empty. It
// ends with a failure only, which is yielded last, with a nil response, or with ctx; leaving the loop ends the stream.
//
// The stream is opened again at its last cursor where it breaks off, as often as the retry policy allows without an
// answer in between. Keep the cursor of the last response to go on after a restart of your own. A response without
// revocations says that the stream is alive.
func (client *Client) WatchRevocations(
	ctx context.Context, cursor string,
) iter.Seq2[*pb.WatchRevocationsResponse, error] {
	return func(yield func(*pb.WatchRevocationsResponse, error) bool) {
		open := func(ctx context.Context) (grpc.ServerStreamingClient[pb.WatchRevocationsResponse], error) {
			return client.Introspection.WatchRevocations(ctx, &pb.WatchRevocationsRequest{Cursor: cursor})
		}
		err := resumed(ctx, client, open, func(response *pb.WatchRevocationsResponse) bool {
			cursor = response.GetCursor()
			return yield(response, nil)
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

func final(state pb.PresentationRequestState) bool {
	switch state {
	case pb.PresentationRequestState_PRESENTATION_REQUEST_STATE_VERIFIED,
		pb.PresentationRequestState_PRESENTATION_REQUEST_STATE_REFUSED,
		pb.PresentationRequestState_PRESENTATION_REQUEST_STATE_EXPIRED:
		return true
	}
	return false
}

// resumed gives every message of a stream to take, until that returns false; then the result is nil. A stream that
// ends or breaks off is opened again, unless client is closed; failures are counted anew after each message.
func resumed[Message any](
	ctx context.Context, client *Client,
	open func(context.Context) (grpc.ServerStreamingClient[Message], error), take func(*Message) bool,
) error {
	for failures := 0; ; {
		answered, err := once(ctx, open, take)
		if err == nil {
			return nil
		}
		if answered {
			failures = 0
		}
		failures++
		var failed *Error
		closed := client.connection.GetState() == connectivity.Shutdown
		if closed || ctx.Err() != nil || !errors.As(err, &failed) {
			return err
		}
		pause, due := client.retry.pauseAfter(failures, failed, remaining(ctx))
		if !due {
			return err
		}
		if !slept(ctx, pause) {
			return errorOfCall(ctx, err, failed.RequestID, nil, nil)
		}
	}
}

// once gives the messages of one stream to take, and says whether there was any. The error is nil where take wanted no
// more.
func once[Message any](
	ctx context.Context, open func(context.Context) (grpc.ServerStreamingClient[Message], error),
	take func(*Message) bool,
) (answered bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := open(ctx)
	if err != nil {
		return false, err
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			// As it should, but before what was waited for.
			return answered, localError(codes.Unavailable, "the gateway ended the stream")
		}
		if err != nil {
			return answered, err
		}
		answered = true
		if !take(message) {
			return true, nil
		}
	}
}

func remaining(ctx context.Context) time.Duration {
	if deadline, limited := ctx.Deadline(); limited {
		return time.Until(deadline)
	}
	return math.MaxInt64
}

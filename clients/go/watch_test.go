package countersign_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	countersign "countersign.test/clients/go"
	pb "countersign.test/clients/go/countersignv1"
)

const (
	created   = pb.PresentationRequestState_PRESENTATION_REQUEST_STATE_CREATED
	fetched   = pb.PresentationRequestState_PRESENTATION_REQUEST_STATE_FETCHED
	submitted = pb.PresentationRequestState_PRESENTATION_REQUEST_STATE_SUBMITTED
	verified  = pb.PresentationRequestState_PRESENTATION_REQUEST_STATE_VERIFIED
)

type states = []pb.PresentationRequestState

// followed is every state that a watcher of a request sees, and the failure that ended it.
func followed(ctx context.Context, client *countersign.Client) (seen states, failure error) {
	for request, err := range client.WatchPresentationRequest(ctx, "presentationRequests/r1") {
		if err != nil {
			failure = err
			continue
		}
		seen = append(seen, request.GetState())
	}
	return seen, failure
}

// A watch goes on where a stream ends or breaks off, tells each state once, and ends after one that is final.
func TestWatchOfARequestIsResumed(t *testing.T) {
	g := start(t)
	g.states = []states{{created}, {created, fetched}, {fetched, submitted}, {verified, created}}
	g.will(refusal(codes.Unavailable, "SHUTTING_DOWN"), nil, refusal(codes.Unavailable, "STORE_UNAVAILABLE"))
	seen, err := followed(context.Background(), g.client(t, nil))
	if want := (states{created, fetched, submitted, verified}); err != nil || !slices.Equal(seen, want) {
		t.Fatalf("%v, %v", seen, err)
	}
	calls := g.seen()
	if len(calls) != 4 || calls[0].request.(*pb.WatchPresentationRequestRequest).GetName() != "presentationRequests/r1" {
		t.Fatalf("streams: %v", calls)
	}
	if left := calls[0].remaining; left < 3900*time.Second || left > 4000*time.Second {
		t.Fatalf("the gateway was given %v", left)
	}
}

// What another stream cannot mend, or what the policy does not bear any longer, is yielded and ends the watch.
func TestWatchOfARequestFails(t *testing.T) {
	unavailable := refusal(codes.Unavailable, "STORE_UNAVAILABLE")
	for name, each := range map[string]struct {
		failures []error
		kind     error
		streams  int
	}{
		"not there":     {[]error{refusal(codes.NotFound, "PRESENTATION_REQUEST_NOT_FOUND")}, countersign.ErrNotFound, 1},
		"never there":   {[]error{unavailable, unavailable, unavailable, unavailable}, countersign.ErrUnavailable, 4},
		"always ending": {nil, countersign.ErrUnavailable, 4},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t)
			g.will(each.failures...)
			seen, err := followed(context.Background(), g.client(t, nil))
			if len(seen) != 0 || !errors.Is(err, each.kind) || len(g.seen()) != each.streams {
				t.Fatalf("%v, %v after %d streams", seen, err, len(g.seen()))
			}
		})
	}
}

// An answer in between lets as many failures follow as before it.
func TestFailuresAreCountedAnewAfterAnAnswer(t *testing.T) {
	g := start(t)
	unavailable := refusal(codes.Unavailable, "STORE_UNAVAILABLE")
	g.states = []states{{}, {}, {}, {created}, {}, {}, {verified}}
	g.will(unavailable, unavailable, unavailable, unavailable, unavailable, unavailable)
	seen, err := followed(context.Background(), g.client(t, nil))
	if err != nil || !slices.Equal(seen, states{created, verified}) {
		t.Fatalf("%v, %v", seen, err)
	}
}

// Leaving the loop ends the stream; so do the context and its deadline, which are told as what they are.
func TestWatchEnds(t *testing.T) {
	g := start(t)
	client := g.client(t, nil)
	g.states = []states{{created}, {created}, {created}}
	g.will(nil, hangs, hangs)
	for request, err := range client.WatchPresentationRequest(context.Background(), "presentationRequests/r1") {
		if err != nil || request.GetState() != created {
			t.Fatalf("%v, %v", request, err)
		}
		break
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := followed(ctx, client); !errors.Is(err, countersign.ErrDeadlineExceeded) {
		t.Fatalf("not a deadline: %v", err)
	}
	given, giveUp := context.WithCancel(context.Background())
	giveUp()
	if _, err := followed(given, client); !errors.Is(err, context.Canceled) {
		t.Fatalf("not a cancellation: %v", err)
	}
}

// Revocations go on after the last cursor.
func TestWatchOfRevocationsIsResumed(t *testing.T) {
	g := start(t)
	g.will(refusal(codes.Unavailable, "SHUTTING_DOWN"), nil)
	var cursors []string
	for response, err := range g.client(t, nil).WatchRevocations(context.Background(), "r1.1") {
		if err != nil {
			t.Fatal(err)
		}
		cursors = append(cursors, response.GetCursor())
		if len(cursors) == 3 {
			break
		}
	}
	if want := []string{"r1.11", "r1.111", "r1.1111"}; !slices.Equal(cursors, want) {
		t.Fatalf("%v", cursors)
	}
	g.will(refusal(codes.InvalidArgument, "INVALID_FIELD"))
	var failure error
	for _, failure = range g.client(t, nil).WatchRevocations(context.Background(), "") {
	}
	if !errors.Is(failure, countersign.ErrInvalidRequest) {
		t.Fatalf("not typed: %v", failure)
	}
}

package countersign_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	countersign "countersign.test/clients/go"
	pb "countersign.test/clients/go/countersignv1"
)

var getClient = &pb.GetClientRequest{Name: "clients/billing"}

func callerOf(ctx context.Context) string {
	from, _ := peer.FromContext(ctx)
	return from.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].Subject.CommonName
}

// A failed call gives the reason, its data, the fields, the time to come back at and the request id.
func TestErrorCarriesWhatTheGatewaySaid(t *testing.T) {
	g := start(t)
	fields := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
		{Field: "scope", Description: "is unknown"},
	}}
	g.will(refusal(codes.InvalidArgument, "INVALID_SCOPE", fields, retryAfter(time.Minute)))
	_, err := g.client(t, nil).Clients.GetClient(context.Background(), getClient)
	var failed *countersign.Error
	if !errors.As(err, &failed) || !errors.Is(err, countersign.ErrInvalidRequest) {
		t.Fatalf("not a typed error: %v", err)
	}
	sent := g.seen()[0].metadata.Get("x-request-id")[0]
	if failed.Reason != "INVALID_SCOPE" || failed.Metadata["limit"] != "5" || failed.RequestID != sent ||
		*failed.RetryAfter != time.Minute || failed.FieldViolations[0].Field != "scope" {
		t.Fatalf("something is missing: %#v", failed)
	}
	if status.Code(err) != codes.InvalidArgument {
		t.Fatalf("gRPC's own reader sees %v", status.Code(err))
	}
	if want := "INVALID_SCOPE: It failed.; scope: is unknown; request id " + sent; err.Error() != want {
		t.Fatalf("the message is %q", err.Error())
	}
}

// A reason decides the kind where its code would say otherwise, and the code where there is no reason of ours.
func TestKindOfAnError(t *testing.T) {
	g := start(t)
	client := g.client(t, func(config *countersign.Config) { config.Retry.MaxAttempts = 1 })
	for _, each := range []struct {
		failure error
		kind    error
	}{
		{refusal(codes.ResourceExhausted, "MESSAGE_TOO_LARGE"), countersign.ErrInvalidRequest},
		{refusal(codes.Unauthenticated, "INVALID_CLIENT"), countersign.ErrUnauthenticated},
		{refusal(codes.PermissionDenied, "NEWER_THAN_THIS_CLIENT"), countersign.ErrPermissionDenied},
		{status.Error(codes.NotFound, "no details"), countersign.ErrNotFound},
		{refusal(codes.Aborted, "ETAG_MISMATCH"), countersign.ErrConflict},
	} {
		g.will(each.failure)
		if _, err := client.Clients.GetClient(context.Background(), getClient); !errors.Is(err, each.kind) {
			t.Errorf("%v is not of the kind %v", err, each.kind)
		}
	}
}

// A safe call is repeated under one request id, as often as the policy says and no more.
func TestSafeCallIsRepeated(t *testing.T) {
	g := start(t)
	client := g.client(t, nil)
	g.will(refusal(codes.Unavailable, "STORE_UNAVAILABLE"), status.Error(codes.Canceled, "shutting down"),
		refusal(codes.ResourceExhausted, "OVERLOADED", retryAfter(time.Millisecond)))
	if _, err := client.Clients.GetClient(context.Background(), getClient); err != nil {
		t.Fatal(err)
	}
	seen := g.seen()
	if len(seen) != 4 || seen[0].metadata.Get("x-request-id")[0] != seen[3].metadata.Get("x-request-id")[0] {
		t.Fatalf("attempts: %d", len(seen))
	}
	unavailable := refusal(codes.Unavailable, "STORE_UNAVAILABLE")
	g.will(unavailable, unavailable, unavailable, unavailable, unavailable)
	_, err := client.Clients.GetClient(context.Background(), getClient)
	if !errors.Is(err, countersign.ErrUnavailable) || len(g.seen()) != 8 {
		t.Fatalf("%v after %d attempts", err, len(g.seen())-4)
	}
}

// What another attempt cannot mend, or could do twice, is sent once.
func TestNotRepeated(t *testing.T) {
	unavailable := refusal(codes.Unavailable, "STORE_UNAVAILABLE")
	background := context.Background()
	mint := func(request *pb.MintTokenRequest) func(*countersign.Client) error {
		return func(client *countersign.Client) error {
			_, err := client.Tokens.MintToken(background, request)
			return err
		}
	}
	get := func(ctx context.Context) func(*countersign.Client) error {
		return func(client *countersign.Client) error {
			_, err := client.Clients.GetClient(ctx, getClient)
			return err
		}
	}
	assertion := &pb.ClientAuthentication{Method: &pb.ClientAuthentication_PrivateKeyJwt{
		PrivateKeyJwt: &pb.PrivateKeyJwt{Assertion: "e30"},
	}}
	for name, each := range map[string]struct {
		failure error
		call    func(*countersign.Client) error
	}{
		"delete": {unavailable, func(client *countersign.Client) error {
			_, err := client.Clients.DeleteClient(background, &pb.DeleteClientRequest{Name: "clients/billing"})
			return err
		}},
		"a secret with an etag": {unavailable, func(client *countersign.Client) error {
			_, err := client.Clients.RotateClientSecret(background, &pb.RotateClientSecretRequest{Etag: "1"})
			return err
		}},
		"a code": {unavailable, mint(&pb.MintTokenRequest{
			Grant: &pb.MintTokenRequest_AuthorizationCode{AuthorizationCode: &pb.AuthorizationCodeGrant{Code: "c"}},
		})},
		"an assertion":          {unavailable, mint(&pb.MintTokenRequest{Authentication: assertion})},
		"a DPoP proof":          {unavailable, get(metadata.AppendToOutgoingContext(background, "dpop", "proof"))},
		"overload without time": {refusal(codes.ResourceExhausted, "OVERLOADED"), get(background)},
		"a wrong request":       {refusal(codes.InvalidArgument, "INVALID_FIELD"), get(background)},
		"a time past the deadline": {
			refusal(codes.Unavailable, "SHUTTING_DOWN", retryAfter(time.Hour)), get(background),
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t)
			g.will(each.failure)
			if err := each.call(g.client(t, nil)); err == nil || len(g.seen()) != 1 {
				t.Fatalf("%v after %d attempts", err, len(g.seen()))
			}
		})
	}
}

// All attempts to create a client are one mutation, and the caller's message is left alone.
func TestMutationKeepsItsID(t *testing.T) {
	g := start(t)
	g.will(refusal(codes.Unavailable, "STORE_UNAVAILABLE"))
	request := &pb.CreateClientRequest{}
	if _, err := g.client(t, nil).Clients.CreateClient(context.Background(), request); err != nil {
		t.Fatal(err)
	}
	seen := g.seen()
	first := seen[0].request.(*pb.CreateClientRequest).GetRequestId()
	second := seen[1].request.(*pb.CreateClientRequest).GetRequestId()
	if len(first) != 36 || first != second || request.GetRequestId() != "" {
		t.Fatalf("%q, %q, %q", first, second, request.GetRequestId())
	}
}

// A call has the client's time unless its context has a deadline, and ends with it.
func TestDeadline(t *testing.T) {
	g := start(t)
	client := g.client(t, func(config *countersign.Config) { config.Timeout = time.Hour })
	if _, err := client.Clients.GetClient(context.Background(), getClient); err != nil {
		t.Fatal(err)
	}
	if left := g.seen()[0].remaining; left < 59*time.Minute || left > time.Hour {
		t.Fatalf("the gateway was given %v", left)
	}
	g.will(hangs)
	limited, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := client.Clients.GetClient(limited, getClient)
	if !errors.Is(err, countersign.ErrDeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("not a deadline: %v", err)
	}
}

// A caller that gives up sees its own cancellation, not an outage of the gateway.
func TestCancellation(t *testing.T) {
	g := start(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := g.client(t, nil).Clients.GetClient(ctx, getClient)
	if !errors.Is(err, context.Canceled) || errors.Is(err, countersign.ErrUnavailable) {
		t.Fatalf("not a cancellation: %v", err)
	}
}

// A caller that gives up between two attempts sees its own cancellation too.
func TestCancellationBetweenAttempts(t *testing.T) {
	g := start(t)
	g.will(refusal(codes.Unavailable, "SHUTTING_DOWN", retryAfter(time.Hour)))
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	ended := make(chan error)
	go func() {
		_, err := g.client(t, nil).Clients.GetClient(ctx, getClient)
		ended <- err
	}()
	for len(g.seen()) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	err := <-ended
	if !errors.Is(err, context.Canceled) || errors.Is(err, countersign.ErrUnavailable) || len(g.seen()) != 1 {
		t.Fatalf("not a cancellation: %v", err)
	}
}

// A client that was closed calls nobody, and ends what is under way.
func TestClose(t *testing.T) {
	g := start(t)
	g.will(hangs, hangs)
	client := g.client(t, nil)
	ended := make(chan error)
	go func() {
		_, err := client.Clients.GetClient(context.Background(), getClient)
		ended <- err
	}()
	go func() {
		var last error
		for _, last = range client.WatchRevocations(context.Background(), "") {
		}
		ended <- last
	}()
	for len(g.seen()) < 2 {
		time.Sleep(time.Millisecond)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, countersign.ErrUnavailable) {
			t.Errorf("not unavailable: %v", err)
		}
	}
	if _, err := client.Clients.GetClient(context.Background(), getClient); !errors.Is(err, countersign.ErrUnavailable) {
		t.Errorf("not unavailable: %v", err)
	}
	if attempts := len(g.seen()); attempts != 2 {
		t.Errorf("%d attempts", attempts)
	}
}

// A gateway that is not there is unavailable.
func TestNoGateway(t *testing.T) {
	g := start(t)
	client := g.client(t, func(config *countersign.Config) { config.Target = "127.0.0.1:1" })
	if _, err := client.Clients.GetClient(context.Background(), getClient); !errors.Is(err, countersign.ErrUnavailable) {
		t.Fatalf("not unavailable: %v", err)
	}
}

// A renewed certificate is used by the next connection of a client that is open.
func TestCertificateIsReadAgain(t *testing.T) {
	g := start(t)
	client := g.client(t, func(config *countersign.Config) {
		config.Retry = &countersign.RetryPolicy{
			MaxAttempts: 50, InitialBackoff: 100 * time.Millisecond, MaxBackoff: time.Second, Multiplier: 2,
		}
	})
	caller := func() string {
		if _, err := client.Clients.GetClient(context.Background(), getClient); err != nil {
			t.Fatal(err)
		}
		seen := g.seen()
		return seen[len(seen)-1].caller
	}
	before := caller()
	g.issue("billing")
	g.restart()
	if after := caller(); after == before {
		t.Fatalf("still %q", after)
	}
}

// The caller's token is asked for anew for every attempt, and a failure to get it is typed.
func TestCallerToken(t *testing.T) {
	g := start(t)
	tokens := []string{"first", "second"}
	client := g.client(t, func(config *countersign.Config) {
		config.CallerToken = func(context.Context) (string, error) {
			if len(tokens) == 0 {
				return "", errors.New("no more tokens")
			}
			token := tokens[0]
			tokens = tokens[1:]
			return token, nil
		}
	})
	g.will(refusal(codes.Unavailable, "STORE_UNAVAILABLE"))
	if _, err := client.Clients.GetClient(context.Background(), getClient); err != nil {
		t.Fatal(err)
	}
	seen := g.seen()
	for attempt, want := range []string{"Bearer first", "Bearer second"} {
		if got := seen[attempt].metadata.Get("authorization"); len(got) != 1 || got[0] != want {
			t.Errorf("attempt %d came with %q", attempt, got)
		}
	}
	_, err := client.Clients.GetClient(context.Background(), getClient)
	if !errors.Is(err, countersign.ErrUnauthenticated) {
		t.Fatalf("not typed: %v", err)
	}
}

// A stream that breaks off says why, as a call does.
func TestStream(t *testing.T) {
	g := start(t)
	g.will(refusal(codes.Unavailable, "SHUTTING_DOWN"))
	client := g.client(t, nil)
	stream, err := client.Introspection.WatchRevocations(context.Background(), &pb.WatchRevocationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.Recv(); err != nil || first.GetCursor() != "1" {
		t.Fatalf("%v, %v", first, err)
	}
	_, err = stream.Recv()
	var failed *countersign.Error
	if !errors.As(err, &failed) || failed.Reason != "SHUTTING_DOWN" || failed.RequestID == "" ||
		!errors.Is(err, countersign.ErrUnavailable) || errors.Is(err, context.Canceled) {
		t.Fatalf("not typed: %v", err)
	}
}

// What cannot work is said when the client is made.
func TestConfiguration(t *testing.T) {
	g := start(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*countersign.Config){
		"no target":           func(config *countersign.Config) { config.Target = "" },
		"a negative timeout":  func(config *countersign.Config) { config.Timeout = -1 },
		"no attempt":          func(config *countersign.Config) { config.Retry = &countersign.RetryPolicy{} },
		"a key alone":         func(config *countersign.Config) { config.TLS.Certificate = "" },
		"no such CA":          func(config *countersign.Config) { config.TLS.CA = empty + ".not" },
		"an empty CA":         func(config *countersign.Config) { config.TLS.CA = empty },
		"an unreadable key":   func(config *countersign.Config) { config.TLS.PrivateKey = empty },
		"a backoff too long":  func(config *countersign.Config) { config.Retry = backoff(time.Hour, 1) },
		"a shrinking backoff": func(config *countersign.Config) { config.Retry = backoff(time.Second, 0.5) },
	} {
		config := countersign.Config{Target: g.address, TLS: g.files()}
		change(&config)
		if _, err := countersign.New(config); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func backoff(initial time.Duration, multiplier float64) *countersign.RetryPolicy {
	return &countersign.RetryPolicy{
		MaxAttempts: 2, InitialBackoff: initial, MaxBackoff: time.Minute, Multiplier: multiplier,
	}
}

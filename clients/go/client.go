package countersign

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"

	pb "countersign.test/clients/go/countersignv1"
)

const (
	defaultTimeout = 10 * time.Second
	// The gateway counts pings that come more often than every 10 seconds as abuse.
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
)

// Config is how a [Client] reaches the gateway. Target and TLS are required.
type Config struct {
	// Target is host:port of the TLS listener.
	Target string
	// MTLSTarget is host:port of the mutual-TLS listener; every call goes there where TLS names a certificate.
	MTLSTarget string
	// TLS says whom the client trusts and who it is.
	TLS TLSFiles
	// Timeout is the time for a call with all its attempts, unless its context has a deadline; 0 means 10 seconds. A
	// stream has none but that of its context.
	Timeout time.Duration
	// Retry is when a call that is safe to repeat is repeated; nil means DefaultRetryPolicy.
	Retry *RetryPolicy
	// CallerToken returns the access token that identifies the caller where there is no certificate. It is called for
	// every attempt, so that it can renew the token.
	CallerToken func(context.Context) (string, error)
}

// Client calls one gateway. It may be used by any number of goroutines.
type Client struct {
	Tokens         pb.TokenServiceClient
	Introspection  pb.IntrospectionServiceClient
	Authorizations pb.AuthorizationServiceClient
	Clients        pb.ClientServiceClient
	Keys           pb.KeyServiceClient
	Enrollment     pb.EnrollmentServiceClient
	Presentations  pb.PresentationServiceClient
	Audit          pb.AuditServiceClient

	connection *grpc.ClientConn
	retry      RetryPolicy
}

// New makes a client. Connecting is left to the first call. It fails where the configuration or a file cannot be used.
func New(config Config) (*Client, error) {
	if config.Target == "" {
		return nil, errors.New("countersign: Target is required")
	}
	if config.Timeout < 0 {
		return nil, errors.New("countersign: Timeout must not be negative")
	}
	if config.Timeout == 0 {
		config.Timeout = defaultTimeout
	}
	retry := DefaultRetryPolicy
	if config.Retry != nil {
		retry = *config.Retry
	}
	if err := retry.validate(); err != nil {
		return nil, err
	}
	transport, err := config.TLS.credentials()
	if err != nil {
		return nil, err
	}
	address := config.Target
	if config.MTLSTarget != "" && config.TLS.Certificate != "" {
		address = config.MTLSTarget
	}
	calls := &caller{timeout: config.Timeout, retry: retry, token: config.CallerToken}
	connection, err := grpc.NewClient(
		address,
		grpc.WithTransportCredentials(transport),
		grpc.WithUnaryInterceptor(calls.unary),
		grpc.WithStreamInterceptor(calls.stream),
		grpc.WithUserAgent("countersign-go"),
		// Repetition is decided here alone: neither by DNS nor by gRPC.
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		// gRPC's own two minutes between attempts to connect would outlast a restart by far.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second,
			},
			MinConnectTimeout: 5 * time.Second,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("countersign: %w", err)
	}
	return &Client{
		Tokens:         pb.NewTokenServiceClient(connection),
		Introspection:  pb.NewIntrospectionServiceClient(connection),
		Authorizations: pb.NewAuthorizationServiceClient(connection),
		Clients:        pb.NewClientServiceClient(connection),
		Keys:           pb.NewKeyServiceClient(connection),
		Enrollment:     pb.NewEnrollmentServiceClient(connection),
		Presentations:  pb.NewPresentationServiceClient(connection),
		Audit:          pb.NewAuditServiceClient(connection),
		connection:     connection,
		retry:          retry,
	}, nil
}

// Close ends the connection, and with it every call that is still under way.
func (client *Client) Close() error {
	return client.connection.Close()
}

// newID is a random UUID (RFC 9562 §5.4).
func newID() string {
	var octets [16]byte
	_, _ = rand.Read(octets[:]) // It never fails; the program would end.
	octets[6] = octets[6]&0x0f | 0x40
	octets[8] = octets[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", octets[:4], octets[4:6], octets[6:8], octets[8:10], octets[10:])
}

package countersign_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	countersign "countersign.test/clients/go"
	pb "countersign.test/clients/go/countersignv1"
)

// call is what the scripted gateway saw of one attempt.
type call struct {
	method    string
	metadata  metadata.MD
	request   any
	remaining time.Duration
	caller    string
}

// gateway answers over mutual TLS: each attempt with the next failure of its script, and after the last with success.
type gateway struct {
	address  string
	folder   string
	issue    func(name string)
	restart  func()
	mu       sync.Mutex
	failures []error
	states   [][]pb.PresentationRequestState // of each stream of a presentation request
	calls    []call
	over     chan struct{}
}

func (g *gateway) will(failures ...error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures = failures
}

func (g *gateway) seen() []call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]call(nil), g.calls...)
}

func (g *gateway) intercept(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler,
) (any, error) {
	sent, _ := metadata.FromIncomingContext(ctx)
	deadline, _ := ctx.Deadline()
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := call{method: info.FullMethod, metadata: sent, request: request, remaining: time.Until(deadline)}
	seen.caller = callerOf(ctx)
	g.calls = append(g.calls, seen)
	if len(g.failures) > 0 {
		failure := g.failures[0]
		g.failures = g.failures[1:]
		if failure == hangs {
			g.mu.Unlock()
			<-g.over
			g.mu.Lock()
		}
		return nil, failure
	}
	switch request.(type) {
	case *pb.CreateClientRequest:
		return &pb.CreateClientResponse{}, nil
	case *pb.GetClientRequest:
		return &pb.GetClientResponse{}, nil
	case *pb.DeleteClientRequest:
		return &pb.DeleteClientResponse{}, nil
	case *pb.RotateClientSecretRequest:
		return &pb.RotateClientSecretResponse{}, nil
	case *pb.MintTokenRequest:
		return &pb.MintTokenResponse{}, nil
	}
	return nil, status.Error(codes.Internal, "the double knows no answer")
}

// hangs leaves the caller without an answer until the test is over: who ends the call is the caller alone.
var hangs = status.Error(codes.Unknown, "hung")

// refusal is what the gateway sends where a call fails.
func refusal(code codes.Code, reason string, details ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Domain: "countersign", Reason: reason, Metadata: map[string]string{"limit": "5"}}
	failed, err := status.New(code, "It failed.").WithDetails(append([]protoadapt.MessageV1{info}, details...)...)
	if err != nil {
		panic(err)
	}
	return failed.Err()
}

func retryAfter(delay time.Duration) protoadapt.MessageV1 {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)}
}

type services struct {
	pb.UnimplementedTokenServiceServer
	pb.UnimplementedClientServiceServer
	pb.UnimplementedIntrospectionServiceServer
	pb.UnimplementedPresentationServiceServer
	gateway *gateway
}

// WatchRevocations sends the cursor after the one that it is asked for, and then ends as the script says.
func (s *services) WatchRevocations(
	request *pb.WatchRevocationsRequest, stream pb.IntrospectionService_WatchRevocationsServer,
) error {
	failure := s.gateway.ending(stream, request)
	if err := stream.Send(&pb.WatchRevocationsResponse{Cursor: request.GetCursor() + "1"}); err != nil {
		return err
	}
	return failure
}

// WatchPresentationRequest sends the states of the next stream of the script, and then ends as that says.
func (s *services) WatchPresentationRequest(
	request *pb.WatchPresentationRequestRequest, stream pb.PresentationService_WatchPresentationRequestServer,
) error {
	failure := s.gateway.ending(stream, request)
	s.gateway.mu.Lock()
	var states []pb.PresentationRequestState
	if len(s.gateway.states) > 0 {
		states, s.gateway.states = s.gateway.states[0], s.gateway.states[1:]
	}
	s.gateway.mu.Unlock()
	for _, state := range states {
		now := &pb.PresentationRequest{Name: request.GetName(), State: state}
		if err := stream.Send(&pb.WatchPresentationRequestResponse{Request: now}); err != nil {
			return err
		}
	}
	return failure
}

// ending notes the opening of a stream, and says how it ends: as it should where the script is used up.
func (g *gateway) ending(stream grpc.ServerStream, request any) error {
	sent, _ := metadata.FromIncomingContext(stream.Context())
	deadline, _ := stream.Context().Deadline()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, call{metadata: sent, request: request, remaining: time.Until(deadline)})
	if len(g.failures) == 0 {
		return nil
	}
	failure := g.failures[0]
	g.failures = g.failures[1:]
	if failure == hangs {
		g.mu.Unlock()
		<-g.over
		g.mu.Lock()
	}
	return failure
}

func start(t *testing.T) *gateway {
	t.Helper()
	folder := t.TempDir()
	root, rootKey := selfSigned(t, folder)
	issue := func(name string) { issued(t, folder, name, root, rootKey) }
	issue("server")
	issue("billing")
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "server.pem"), filepath.Join(folder, "server-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	config := &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
	}
	g := &gateway{address: "127.0.0.1:0", folder: folder, issue: issue, over: make(chan struct{})}
	all := &services{gateway: g}
	serve := func() *grpc.Server {
		listener, err := net.Listen("tcp", g.address)
		if err != nil {
			t.Fatal(err)
		}
		g.address = listener.Addr().String()
		server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.UnaryInterceptor(g.intercept))
		pb.RegisterTokenServiceServer(server, all)
		pb.RegisterClientServiceServer(server, all)
		pb.RegisterIntrospectionServiceServer(server, all)
		pb.RegisterPresentationServiceServer(server, all)
		go func() { _ = server.Serve(listener) }()
		return server
	}
	server := serve()
	g.restart = func() {
		server.Stop()
		server = serve()
	}
	t.Cleanup(func() {
		close(g.over)
		server.Stop()
	})
	return g
}

func (g *gateway) files() countersign.TLSFiles {
	return countersign.TLSFiles{
		CA:          filepath.Join(g.folder, "ca.pem"),
		Certificate: filepath.Join(g.folder, "billing.pem"),
		PrivateKey:  filepath.Join(g.folder, "billing-key.pem"),
	}
}

// client repeats at once: the pauses themselves are a test of their own.
func (g *gateway) client(t *testing.T, change func(*countersign.Config)) *countersign.Client {
	t.Helper()
	quick := countersign.RetryPolicy{
		MaxAttempts: 4, InitialBackoff: time.Microsecond, MaxBackoff: time.Microsecond, Multiplier: 1,
	}
	config := countersign.Config{Target: g.address, TLS: g.files(), Retry: &quick}
	if change != nil {
		change(&config)
	}
	client, err := countersign.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func selfSigned(t *testing.T, folder string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "ca.pem"), "CERTIFICATE", der)
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// issued writes NAME.pem and NAME-key.pem; the certificate's subject is new each time.
func issued(t *testing.T, folder, name string, root *x509.Certificate, rootKey *ecdsa.PrivateKey) {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name + "-" + serial.String()},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, root, key.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, name+".pem"), "CERTIFICATE", der)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, name+"-key.pem"), "PRIVATE KEY", pkcs8)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Command lifecycle registers a client, mints a token for it, and follows the token until it is revoked.
//
// It needs a development gateway (make serve), whose folder holds the certificates:
//
//	go run ./examples/lifecycle -dir ../../var
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"path/filepath"

	countersign "countersign.test/clients/go"
	pb "countersign.test/clients/go/countersignv1"
)

const (
	clientID = "go-example"
	resource = "https://orders.countersign.test"
	identity = "spiffe://countersign.test/orders-backend"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "var", "the folder of the development gateway")
	target := flag.String("target", "localhost:50051", "host:port of its TLS listener")
	mtlsTarget := flag.String("mtls-target", "localhost:50052", "host:port of its mutual-TLS listener")
	flag.Parse()
	connect := func(name string) *countersign.Client {
		client, err := countersign.New(countersign.Config{
			Target:     *target,
			MTLSTarget: *mtlsTarget,
			TLS: countersign.TLSFiles{
				CA:          filepath.Join(*dir, "ca.pem"),
				Certificate: filepath.Join(*dir, name+".pem"),
				PrivateKey:  filepath.Join(*dir, name+"-key.pem"),
			},
		})
		if err != nil {
			log.Fatal(err)
		}
		return client
	}
	admin, backend, api := connect("admin"), connect("orders-backend"), connect("orders-api")
	err := follow(context.Background(), admin, backend, api)
	for _, client := range []*countersign.Client{admin, backend, api} {
		err = errors.Join(err, client.Close())
	}
	if err != nil {
		log.Fatal(err)
	}
}

func follow(ctx context.Context, admin, backend, api *countersign.Client) error {
	registered, err := admin.Clients.CreateClient(ctx, &pb.CreateClientRequest{
		ClientId: clientID,
		Client: &pb.Client{
			DisplayName: "Example in Go",
			Authentication: &pb.Client_TlsClientAuth{
				TlsClientAuth: &pb.TlsClientAuth{Identity: &pb.TlsClientAuth_SanUri{SanUri: identity}},
			},
			GrantTypes:      []pb.GrantType{pb.GrantType_GRANT_TYPE_CLIENT_CREDENTIALS},
			Scopes:          []string{"orders:read"},
			Audiences:       []string{resource},
			DefaultAudience: resource,
		},
	})
	if err != nil {
		return err
	}
	name := registered.GetClient().GetName()
	fmt.Println("registered", name)

	minted, err := mint(ctx, backend, "orders:read")
	if err != nil {
		return err
	}
	token := minted.GetToken()
	fmt.Println("minted", token.GetScope())
	if err := introspect(ctx, api, token.GetValue()); err != nil {
		return err
	}
	revocation := &pb.RevokeTokenRequest{
		ClientId: clientID,
		Target:   &pb.RevokeTokenRequest_Token{Token: token.GetValue()},
	}
	if _, err := backend.Tokens.RevokeToken(ctx, revocation); err != nil {
		return err
	}
	fmt.Println("revoked")
	if err := introspect(ctx, api, token.GetValue()); err != nil {
		return err
	}

	var refused *countersign.Error
	if _, err := mint(ctx, backend, "orders:delete"); !errors.As(err, &refused) {
		return fmt.Errorf("a scope of another was not refused: %v", err)
	}
	fmt.Println("refused", refused.Reason, errors.Is(refused, countersign.ErrInvalidRequest))

	_, err = admin.Clients.DeleteClient(ctx, &pb.DeleteClientRequest{Name: name})
	return err
}

func mint(ctx context.Context, backend *countersign.Client, scope string) (*pb.MintTokenResponse, error) {
	return backend.Tokens.MintToken(ctx, &pb.MintTokenRequest{
		ClientId: clientID,
		Grant:    &pb.MintTokenRequest_ClientCredentials{ClientCredentials: &pb.ClientCredentialsGrant{}},
		Scope:    []string{scope},
	})
}

func introspect(ctx context.Context, api *countersign.Client, token string) error {
	answer, err := api.Introspection.IntrospectToken(ctx, &pb.IntrospectTokenRequest{Token: token})
	if err != nil {
		return err
	}
	if !answer.GetActive() {
		fmt.Println("not active")
		return nil
	}
	fmt.Println("active, issued to", answer.GetToken().GetClientId())
	return nil
}

// Package countersign is the Go client of the Countersign identity gateway.
//
// A [Client] holds one connection and the generated stubs of every service. Each unary call through them gets a
// deadline, a request id, repetition where that does no harm, and errors of the type [*Error]:
//
//	client, err := countersign.New(countersign.Config{
//		Target:     "gateway:50051",
//		MTLSTarget: "gateway:50052",
//		TLS:        countersign.TLSFiles{CA: "ca.pem", Certificate: "billing.pem", PrivateKey: "billing-key.pem"},
//	})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	minted, err := client.Tokens.MintToken(ctx, &pb.MintTokenRequest{
//		ClientId: "billing",
//		Grant:    &pb.MintTokenRequest_ClientCredentials{ClientCredentials: &pb.ClientCredentialsGrant{}},
//	})
//	if errors.Is(err, countersign.ErrUnavailable) {
//		// The gateway cannot answer now; the call was repeated before this.
//	}
//
// The messages are those of package countersignv1. They print everything, tokens and secrets too: do not log them.
package countersign

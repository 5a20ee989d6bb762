// Command presentation asks a wallet for a VerifiedEmployee credential, waits for the answer, and prints what was
// checked.
//
// It needs a development gateway (make serve), whose folder holds the certificates:
//
//	go run ./examples/presentation -dir ../../var
//
// It ends with 0 where the answer was accepted, with 2 where it was refused or did not come, and with 1 where the
// gateway could not be asked.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	countersign "countersign.test/clients/go"
	pb "countersign.test/clients/go/countersignv1"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "var", "the folder of the development gateway")
	target := flag.String("target", "localhost:50051", "host:port of its TLS listener")
	mtlsTarget := flag.String("mtls-target", "localhost:50052", "host:port of its mutual-TLS listener")
	verifier := flag.String("verifier", "demo", "who asks, by its configured name")
	flag.Parse()
	client, err := countersign.New(countersign.Config{
		Target:     *target,
		MTLSTarget: *mtlsTarget,
		TLS: countersign.TLSFiles{
			CA:          filepath.Join(*dir, "ca.pem"),
			Certificate: filepath.Join(*dir, "verifier.pem"),
			PrivateKey:  filepath.Join(*dir, "verifier-key.pem"),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Whoever gives up waiting ends the watch, not the program in the middle of it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	request, err := ask(ctx, client, *verifier)
	stop()
	_ = client.Close()
	if err != nil {
		log.Fatal(err)
	}
	if !tell(request) {
		os.Exit(2)
	}
}

// ask is the request once nothing follows any more.
func ask(ctx context.Context, client *countersign.Client, verifier string) (*pb.PresentationRequest, error) {
	made, err := client.Presentations.CreatePresentationRequest(ctx, &pb.CreatePresentationRequestRequest{
		Verifier: verifier,
		Query: &pb.CreatePresentationRequestRequest_VerifiedEmployee{
			VerifiedEmployee: &pb.VerifiedEmployeeQuery{RequiredClaims: []string{"jobTitle"}},
		},
	})
	if err != nil {
		return nil, err
	}
	last := made.GetRequest()
	fmt.Println("open", last.GetAuthorizationRequestUri())
	for request, err := range client.WatchPresentationRequest(ctx, last.GetName()) {
		if err != nil {
			return nil, err
		}
		last = request
		fmt.Println(strings.ToLower(strings.TrimPrefix(last.GetState().String(), "PRESENTATION_REQUEST_STATE_")))
	}
	return last, nil
}

// tell prints what came of the request, and says whether the answer was accepted.
func tell(request *pb.PresentationRequest) bool {
	report := request.GetVerification()
	if report == nil {
		fmt.Println("no presentation:", cmp.Or(request.GetWalletError(), "nobody answered in time"))
		return false
	}
	for _, check := range report.GetChecks() {
		if outcome := check.GetOutcome(); outcome != pb.PresentationCheckOutcome_PRESENTATION_CHECK_OUTCOME_PASSED &&
			outcome != pb.PresentationCheckOutcome_PRESENTATION_CHECK_OUTCOME_SKIPPED {
			fmt.Println("objection:", check.GetCode(), "at", check.GetPath()+":", check.GetDetail())
		}
	}
	for _, each := range report.GetCredentials() {
		subject := each.GetCredential().GetFields()["credentialSubject"].GetStructValue()
		fmt.Println("accepted:", subject.GetFields()["displayName"].GetStringValue())
	}
	return report.GetAccepted()
}

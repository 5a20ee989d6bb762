package countersign

import (
	"google.golang.org/protobuf/proto"

	pb "countersign.test/clients/go/countersignv1"
)

// repeatable lists the methods for which a second attempt does no harm where the first one took effect. Of a method
// that is not listed no call is repeated. The clients in Python and TypeScript have the same rules.
var repeatable = map[string]bool{
	pb.AuditService_GetAuditLogHead_FullMethodName:                   true,
	pb.AuthorizationService_PushAuthorizationRequest_FullMethodName:  true,
	pb.AuthorizationService_CreateAuthorizationCode_FullMethodName:   true,
	pb.ClientService_CreateClient_FullMethodName:                     true,
	pb.ClientService_GetClient_FullMethodName:                        true,
	pb.ClientService_ListClients_FullMethodName:                      true,
	pb.ClientService_RotateClientSecret_FullMethodName:               true,
	pb.EnrollmentService_ListProvisioners_FullMethodName:             true,
	pb.EnrollmentService_CreateNonce_FullMethodName:                  true,
	pb.EnrollmentService_GetAccount_FullMethodName:                   true,
	pb.EnrollmentService_UpdateAccount_FullMethodName:                true,
	pb.EnrollmentService_GetOrder_FullMethodName:                     true,
	pb.EnrollmentService_ListOrders_FullMethodName:                   true,
	pb.EnrollmentService_GetAuthorization_FullMethodName:             true,
	pb.EnrollmentService_AnswerChallenge_FullMethodName:              true,
	pb.EnrollmentService_FinalizeOrder_FullMethodName:                true,
	pb.EnrollmentService_GetCertificate_FullMethodName:               true,
	pb.EnrollmentService_GetRenewalInfo_FullMethodName:               true,
	pb.EnrollmentService_GetCertificateRevocationList_FullMethodName: true,
	pb.EnrollmentService_GetOcspResponse_FullMethodName:              true,
	pb.EnrollmentService_ListExternalAccountKeys_FullMethodName:      true,
	pb.IntrospectionService_IntrospectToken_FullMethodName:           true,
	pb.IntrospectionService_BatchIntrospectTokens_FullMethodName:     true,
	pb.KeyService_ListKeys_FullMethodName:                            true,
	pb.KeyService_GetKey_FullMethodName:                              true,
	pb.KeyService_CreateKey_FullMethodName:                           true,
	pb.KeyService_RotateKey_FullMethodName:                           true,
	pb.KeyService_DisableKey_FullMethodName:                          true,
	pb.KeyService_CheckKey_FullMethodName:                            true,
	pb.PresentationService_GetPresentationRequest_FullMethodName:     true,
	pb.PresentationService_GetRequestObject_FullMethodName:           true,
	pb.PresentationService_VerifyPresentation_FullMethodName:         true,
	pb.TokenService_MintToken_FullMethodName:                         true,
	pb.TokenService_BatchMintTokens_FullMethodName:                   true,
	pb.TokenService_RevokeToken_FullMethodName:                       true,
	pb.TokenService_CreateClientNonce_FullMethodName:                 true,
	pb.TokenService_GetServerMetadata_FullMethodName:                 true,
	pb.TokenService_GetJwks_FullMethodName:                           true,
}

// mayRepeat says whether this very request may be sent twice.
func mayRepeat(method string, request any) bool {
	if !repeatable[method] {
		return false
	}
	// An assertion is good for one attempt (RFC 7523 §3).
	if each, ok := request.(interface {
		GetAuthentication() *pb.ClientAuthentication
	}); ok && each.GetAuthentication().GetPrivateKeyJwt() != nil {
		return false
	}
	switch each := request.(type) {
	case *pb.MintTokenRequest:
		// A code that is sent twice revokes what it gave; an assertion is used once.
		return each.GetAuthorizationCode() == nil && each.GetJwtBearer() == nil
	case *pb.CreateAuthorizationCodeRequest:
		// A pushed request is used once.
		return each.GetRequestUri() == ""
	case *pb.RotateClientSecretRequest:
		// The second attempt would meet another etag.
		return each.GetEtag() == ""
	}
	return true
}

// identified returns the request with a request_id where its method knows one and it has none, so that all attempts
// of a call are one mutation. The caller's message stays as it is.
func identified(request any) any {
	switch each := request.(type) {
	case *pb.CreateClientRequest:
		if each.GetRequestId() == "" {
			copied := proto.Clone(each).(*pb.CreateClientRequest)
			copied.RequestId = newID()
			return copied
		}
	case *pb.CreateKeyRequest:
		if each.GetRequestId() == "" {
			copied := proto.Clone(each).(*pb.CreateKeyRequest)
			copied.RequestId = newID()
			return copied
		}
	case *pb.RotateKeyRequest:
		if each.GetRequestId() == "" {
			copied := proto.Clone(each).(*pb.RotateKeyRequest)
			copied.RequestId = newID()
			return copied
		}
	}
	return request
}

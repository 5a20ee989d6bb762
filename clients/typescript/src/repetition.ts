import { randomUUID } from "node:crypto";

import { create, isMessage, type DescMethod, type Message } from "@bufbuild/protobuf";

import { CreateAuthorizationCodeRequestSchema } from "./gen/countersign/v1/authorization_service_pb.js";
import type { ClientAuthentication } from "./gen/countersign/v1/client_authentication_pb.js";
import { CreateClientRequestSchema, RotateClientSecretRequestSchema } from "./gen/countersign/v1/client_service_pb.js";
import { CreateKeyRequestSchema, RotateKeyRequestSchema } from "./gen/countersign/v1/key_service_pb.js";
import { MintTokenRequestSchema } from "./gen/countersign/v1/token_service_pb.js";

/**
 * The methods for which a second attempt does no harm where the first one took effect. Of a method that is not listed
 * no call is repeated. The clients in Python and Go have the same rules.
 */
export const REPEATABLE: ReadonlySet<string> = new Set([
  "countersign.v1.AuditService.GetAuditLogHead",
  "countersign.v1.AuthorizationService.PushAuthorizationRequest",
  "countersign.v1.AuthorizationService.CreateAuthorizationCode",
  "countersign.v1.ClientService.CreateClient",
  "countersign.v1.ClientService.GetClient",
  "countersign.v1.ClientService.ListClients",
  "countersign.v1.ClientService.RotateClientSecret",
  "countersign.v1.EnrollmentService.ListProvisioners",
  "countersign.v1.EnrollmentService.CreateNonce",
  "countersign.v1.EnrollmentService.GetAccount",
  "countersign.v1.EnrollmentService.UpdateAccount",
  "countersign.v1.EnrollmentService.GetOrder",
  "countersign.v1.EnrollmentService.ListOrders",
  "countersign.v1.EnrollmentService.GetAuthorization",
  "countersign.v1.EnrollmentService.AnswerChallenge",
  "countersign.v1.EnrollmentService.FinalizeOrder",
  "countersign.v1.EnrollmentService.GetCertificate",
  "countersign.v1.EnrollmentService.GetRenewalInfo",
  "countersign.v1.EnrollmentService.GetCertificateRevocationList",
  "countersign.v1.EnrollmentService.GetOcspResponse",
  "countersign.v1.EnrollmentService.ListExternalAccountKeys",
  "countersign.v1.IntrospectionService.IntrospectToken",
  "countersign.v1.IntrospectionService.BatchIntrospectTokens",
  "countersign.v1.KeyService.ListKeys",
  "countersign.v1.KeyService.GetKey",
  "countersign.v1.KeyService.CreateKey",
  "countersign.v1.KeyService.RotateKey",
  "countersign.v1.KeyService.DisableKey",
  "countersign.v1.KeyService.CheckKey",
  "countersign.v1.PresentationService.GetPresentationRequest",
  "countersign.v1.PresentationService.GetRequestObject",
  "countersign.v1.PresentationService.VerifyPresentation",
  "countersign.v1.TokenService.MintToken",
  "countersign.v1.TokenService.BatchMintTokens",
  "countersign.v1.TokenService.RevokeToken",
  "countersign.v1.TokenService.CreateClientNonce",
  "countersign.v1.TokenService.GetServerMetadata",
  "countersign.v1.TokenService.GetJwks",
]);

/** Whether this very request may be sent twice. */
export function mayRepeat(method: DescMethod, request: Message): boolean {
  if (!REPEATABLE.has(`${method.parent.typeName}.${method.name}`)) {
    return false;
  }
  const { authentication } = request as { authentication?: ClientAuthentication };
  if (authentication?.method?.case === "privateKeyJwt") {
    return false; // An assertion is good for one attempt (RFC 7523 §3).
  }
  if (isMessage(request, MintTokenRequestSchema)) {
    // A code that is sent twice revokes what it gave; an assertion is used once.
    return request.grant.case !== "authorizationCode" && request.grant.case !== "jwtBearer";
  }
  if (isMessage(request, CreateAuthorizationCodeRequestSchema)) {
    return request.request.case !== "requestUri"; // A pushed request is used once.
  }
  if (isMessage(request, RotateClientSecretRequestSchema)) {
    return request.etag === ""; // The second attempt would meet another etag.
  }
  return true;
}

/**
 * Gives a mutation a request id where its method knows one and it has none, so that all attempts of a call are one
 * mutation. The caller's message stays as it is.
 */
export function identified<T extends Message>(request: T): T {
  for (const schema of [CreateClientRequestSchema, CreateKeyRequestSchema, RotateKeyRequestSchema] as const) {
    if (isMessage(request, schema) && request.requestId === "") {
      return Object.assign(create(schema), request, { requestId: randomUUID() }) as unknown as T;
    }
  }
  return request;
}

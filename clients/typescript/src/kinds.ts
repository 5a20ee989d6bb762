import { status } from "@grpc/grpc-js";

/** What a failure means for the one who called. */
export type ErrorKind =
  /** A defect, or an answer that fits nothing below. */
  | "other"
  /** The request is at fault; sending it again cannot help. */
  | "invalid-request"
  /** Who the caller or the OAuth client is could not be established. */
  | "unauthenticated"
  /** Known, but not allowed. */
  | "permission-denied"
  /** The resource does not exist. */
  | "not-found"
  /** Exists already, changed meanwhile, or is in the wrong state. */
  | "conflict"
  /** The gateway, or a part that it needs, cannot answer now. */
  | "unavailable"
  /** The time for the call is over; whether it took effect is not known. */
  | "deadline-exceeded"
  /** The caller gave the call up. */
  | "cancelled";

/** The kind of each reason of the gateway; the clients in Python and Go have the same table. */
export const KIND_OF_REASON: ReadonlyMap<string, ErrorKind> = new Map([
  ["INVALID_FIELD", "invalid-request"],
  ["MISSING_FIELD", "invalid-request"],
  ["INVALID_REQUEST", "invalid-request"],
  ["MESSAGE_TOO_LARGE", "invalid-request"],
  ["INVALID_PAGE_TOKEN", "invalid-request"],
  ["INVALID_CLIENT_METADATA", "invalid-request"],
  ["UNSUPPORTED_GRANT_TYPE", "invalid-request"],
  ["INVALID_SCOPE", "invalid-request"],
  ["INVALID_TARGET", "invalid-request"],
  ["INVALID_GRANT", "invalid-request"],
  ["INVALID_DPOP_PROOF", "invalid-request"],
  ["CLIENT_CERTIFICATE_MALFORMED", "invalid-request"],
  ["TERMINATOR_HEADER_REFUSED", "invalid-request"],
  ["CALLER_UNAUTHENTICATED", "unauthenticated"],
  ["INVALID_CLIENT", "unauthenticated"],
  ["CLIENT_CERTIFICATE_REQUIRED", "unauthenticated"],
  ["INVALID_TOKEN", "unauthenticated"],
  ["USE_DPOP_NONCE", "unauthenticated"],
  ["PERMISSION_DENIED", "permission-denied"],
  ["UNAUTHORIZED_CLIENT", "permission-denied"],
  ["CLIENT_NOT_FOUND", "not-found"],
  ["CLIENT_ALREADY_EXISTS", "conflict"],
  ["KEY_NOT_FOUND", "not-found"],
  ["KEY_ALREADY_EXISTS", "conflict"],
  ["KEY_STATE_CONFLICT", "conflict"],
  ["KEY_UNUSABLE", "conflict"],
  ["ETAG_MISMATCH", "conflict"],
  ["REQUEST_ID_REUSED", "conflict"],
  ["SIGNER_UNAVAILABLE", "unavailable"],
  ["SIGNER_BUSY", "unavailable"],
  ["NO_ACTIVE_KEY", "unavailable"],
  ["STORE_UNAVAILABLE", "unavailable"],
  ["AUDIT_UNAVAILABLE", "unavailable"],
  ["DEADLINE_EXCEEDED", "deadline-exceeded"],
  ["OVERLOADED", "unavailable"],
  ["RATE_LIMITED", "unavailable"],
  ["SHUTTING_DOWN", "unavailable"],
  ["CLIENT_PROOF_REFUSED", "invalid-request"],
  ["SIGNED_REQUEST_REFUSED", "invalid-request"],
  ["BAD_NONCE", "invalid-request"],
  ["BAD_PUBLIC_KEY", "invalid-request"],
  ["UNSUPPORTED_IDENTIFIER", "invalid-request"],
  ["REJECTED_IDENTIFIER", "invalid-request"],
  ["BAD_CSR", "invalid-request"],
  ["BAD_REVOCATION_REASON", "invalid-request"],
  ["EXTERNAL_ACCOUNT_REQUIRED", "permission-denied"],
  ["ACCOUNT_UNUSABLE", "permission-denied"],
  ["ACCOUNT_NOT_FOUND", "not-found"],
  ["ENROLLMENT_NOT_FOUND", "not-found"],
  ["ACCOUNT_KEY_IN_USE", "conflict"],
  ["ORDER_NOT_READY", "conflict"],
  ["ALREADY_REVOKED", "conflict"],
  ["ALREADY_REPLACED", "conflict"],
  ["ISSUER_UNAVAILABLE", "unavailable"],
  ["INVALID_PRESENTATION_DEFINITION", "invalid-request"],
  ["INVALID_PRESENTATION_RESPONSE", "invalid-request"],
  ["VERIFIER_NOT_FOUND", "not-found"],
  ["PRESENTATION_REQUEST_NOT_FOUND", "not-found"],
  ["PRESENTATION_REQUEST_ALREADY_EXISTS", "conflict"],
  ["PRESENTATION_REQUEST_CLOSED", "conflict"],
  ["IDENTITY_PROVIDER_UNAVAILABLE", "unavailable"],
  ["INTERNAL", "other"],
] as const);

/** For a failure without a reason, or with one that is newer than this client. */
export const KIND_OF_CODE: ReadonlyMap<status, ErrorKind> = new Map([
  [status.INVALID_ARGUMENT, "invalid-request"],
  [status.OUT_OF_RANGE, "invalid-request"],
  [status.UNIMPLEMENTED, "invalid-request"],
  [status.UNAUTHENTICATED, "unauthenticated"],
  [status.PERMISSION_DENIED, "permission-denied"],
  [status.NOT_FOUND, "not-found"],
  [status.ALREADY_EXISTS, "conflict"],
  [status.FAILED_PRECONDITION, "conflict"],
  [status.ABORTED, "conflict"],
  [status.UNAVAILABLE, "unavailable"],
  [status.RESOURCE_EXHAUSTED, "unavailable"],
  [status.DEADLINE_EXCEEDED, "deadline-exceeded"],
] as const);

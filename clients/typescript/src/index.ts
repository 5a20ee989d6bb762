/**
 * The TypeScript client of the Countersign identity gateway. Start with `GatewayClient`; every failure of a call is a
 * `CountersignError`. The messages print everything, tokens and secrets too: do not log them.
 */
export { GatewayClient, type GatewayConfig } from "./client.js";
export { CountersignError, errorOfStatus, type FieldViolation } from "./errors.js";
export type { ErrorKind } from "./kinds.js";
export { DEFAULT_RETRY_POLICY, type RetryPolicy } from "./retry.js";
export type { CallOptions, Stub } from "./stub.js";
export type { TlsFiles } from "./tls.js";

export * from "./gen/countersign/v1/access_token_pb.js";
export * from "./gen/countersign/v1/authorization_service_pb.js";
export * from "./gen/countersign/v1/client_authentication_pb.js";
export * from "./gen/countersign/v1/client_service_pb.js";
export * from "./gen/countersign/v1/enrollment_service_pb.js";
export * from "./gen/countersign/v1/errors_pb.js";
export * from "./gen/countersign/v1/introspection_service_pb.js";
export * from "./gen/countersign/v1/key_service_pb.js";
export * from "./gen/countersign/v1/presentation_service_pb.js";
export * from "./gen/countersign/v1/token_service_pb.js";

import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { status as StatusCode, type Metadata, type ServiceError } from "@grpc/grpc-js";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { StatusSchema, type Status } from "./gen/google/rpc/status_pb.js";
import { KIND_OF_CODE, KIND_OF_REASON, type ErrorKind } from "./kinds.js";

const DOMAIN = "countersign";
const STATUS_DETAILS = "grpc-status-details-bin";
export const REQUEST_ID = "x-request-id";
const DPOP_NONCE = "dpop-nonce";

/** A field of the request, as a path in proto notation, and the rule that it breaks. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** What an error may hold beside its kind, code and message. */
interface Facts {
  reason?: string;
  metadata?: Readonly<Record<string, string>>;
  fieldViolations?: readonly FieldViolation[];
  retryAfterMs?: number;
  requestId?: string;
  dpopNonce?: string;
  cause?: unknown;
}

/** Why a call failed. Switch on `kind`, or on `reason` where more matters. Messages are for a log and may change. */
export class CountersignError extends Error {
  override readonly name = "CountersignError";
  /** What it means for the one who called. */
  readonly kind: ErrorKind;
  /** The gRPC status code. */
  readonly code: StatusCode;
  /** What the gateway said, without the rest. */
  readonly detail: string;
  /**
   * Stable: a name of `ErrorReason` without its prefix, or one that is newer than this client. Absent where the
   * failure did not come from the gateway's rules: no connection, a deadline that passed here.
   */
  readonly reason: string | undefined;
  /** The data of the reason, as ErrorInfo carries it. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Which fields are at fault. */
  readonly fieldViolations: readonly FieldViolation[];
  /** How long to wait before the same request may succeed; absent where the gateway did not say. */
  readonly retryAfterMs: number | undefined;
  /** Names the call in the gateway's log. */
  readonly requestId: string | undefined;
  /** What the next DPoP proof must carry, where the gateway asks for it (RFC 9449 §8). */
  readonly dpopNonce: string | undefined;

  constructor(kind: ErrorKind, code: StatusCode, detail: string, facts: Facts = {}) {
    const violations = facts.fieldViolations ?? [];
    const parts = [
      `${facts.reason ?? StatusCode[code]}: ${detail}`,
      ...violations.map((each) => `${each.field}: ${each.description}`),
      ...(facts.requestId === undefined ? [] : [`request id ${facts.requestId}`]),
    ];
    super(parts.join("; "), { cause: facts.cause });
    this.kind = kind;
    this.code = code;
    this.detail = detail;
    this.reason = facts.reason;
    this.metadata = facts.metadata ?? {};
    this.fieldViolations = violations;
    this.retryAfterMs = facts.retryAfterMs;
    this.requestId = facts.requestId;
    this.dpopNonce = facts.dpopNonce;
  }
}

/**
 * The error that a `google.rpc.Status` describes, such as that of an item of batchMintTokens. Details of other domains
 * and unknown types are passed over.
 */
export function errorOfStatus(status: Status, beside: Facts = {}): CountersignError {
  const code = status.code in StatusCode ? (status.code as StatusCode) : StatusCode.UNKNOWN;
  const facts: Facts = { ...beside };
  let kind = KIND_OF_CODE.get(code) ?? "other";
  for (const detail of status.details) {
    const info = anyUnpack(detail, ErrorInfoSchema);
    if (info?.domain === DOMAIN) {
      facts.reason = info.reason;
      facts.metadata = info.metadata;
      kind = KIND_OF_REASON.get(info.reason) ?? kind;
    }
    const request = anyUnpack(detail, BadRequestSchema);
    if (request !== undefined) {
      facts.fieldViolations = request.fieldViolations.map(({ field, description }) => ({ field, description }));
    }
    const delay = anyUnpack(detail, RetryInfoSchema)?.retryDelay;
    if (delay !== undefined) {
      facts.retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
    }
  }
  return new CountersignError(kind, code, status.message, facts);
}

/** The error for a failed call. An id that the gateway sent back takes the place of the one sent. */
export function errorOfCall(
  failure: ServiceError,
  requestId: string,
  header: Metadata | undefined,
  cancelledHere: boolean,
): CountersignError {
  const answered = text(failure.metadata, REQUEST_ID) ?? text(header, REQUEST_ID) ?? requestId;
  if (cancelledHere) {
    return new CountersignError("cancelled", StatusCode.CANCELLED, "given up here", {
      requestId: answered,
      cause: failure,
    });
  }
  // Nobody on this side cancelled. A server that began to shut down a moment ago cancels what it has not begun, so the
  // call is as safe to repeat as an UNAVAILABLE one.
  const code = failure.code === StatusCode.CANCELLED ? StatusCode.UNAVAILABLE : failure.code;
  const facts: Facts = { requestId: answered, cause: failure };
  const nonce = text(failure.metadata, DPOP_NONCE);
  if (nonce !== undefined) {
    facts.dpopNonce = nonce;
  }
  const sent = details(failure.metadata);
  // Details that contradict the status of the call are not from the gateway.
  if (sent !== undefined && sent.code === failure.code) {
    return errorOfStatus({ ...sent, code }, facts);
  }
  return new CountersignError(KIND_OF_CODE.get(code) ?? "other", code, failure.details, facts);
}

function details(metadata: Metadata | undefined): Status | undefined {
  const [value] = metadata?.get(STATUS_DETAILS) ?? [];
  if (!(value instanceof Uint8Array)) {
    return undefined;
  }
  try {
    return fromBinary(StatusSchema, value);
  } catch {
    return undefined; // Whoever answered is no gateway; the code of the call still says what happened.
  }
}

function text(metadata: Metadata | undefined, name: string): string | undefined {
  const [value] = metadata?.get(name) ?? [];
  return typeof value === "string" ? value : undefined;
}

import { equals } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";

import { paused, positive } from "./calls.js";
import { CountersignError } from "./errors.js";
import type { IntrospectionService, WatchRevocationsResponse } from "./gen/countersign/v1/introspection_service_pb.js";
import {
  PresentationRequestSchema,
  PresentationRequestState,
  type PresentationRequest,
  type PresentationService,
} from "./gen/countersign/v1/presentation_service_pb.js";
import { pauseAfter, type RetryPolicy } from "./retry.js";
import type { CallOptions, Stub } from "./stub.js";

/** A presentation request lives for an hour at most; what is left is for verifying its answer. */
const WATCHED_AT_MOST_MS = 4_000_000;

const FINAL: ReadonlySet<PresentationRequestState> = new Set([
  PresentationRequestState.VERIFIED,
  PresentationRequestState.REFUSED,
  PresentationRequestState.EXPIRED,
]);

/** The request as it is, then each change of it, until a state that is final. */
export async function* presentationRequestWatch(
  presentations: Stub<typeof PresentationService>,
  retry: RetryPolicy,
  name: string,
  options: CallOptions,
): AsyncGenerator<PresentationRequest, void, undefined> {
  let last: PresentationRequest | undefined;
  const limited = { timeoutMs: WATCHED_AT_MOST_MS, ...options };
  const open = (remaining: CallOptions) => presentations.watchPresentationRequest({ name }, remaining);
  for await (const { request } of resumed(retry, limited, open)) {
    if (request === undefined || (last !== undefined && equals(PresentationRequestSchema, request, last))) {
      continue;
    }
    last = request;
    yield request;
    if (FINAL.has(request.state)) {
      return;
    }
  }
}

/** Revocations after `cursor`, as they happen. */
export async function* revocationWatch(
  introspection: Stub<typeof IntrospectionService>,
  retry: RetryPolicy,
  cursor: string,
  options: CallOptions,
): AsyncGenerator<WatchRevocationsResponse, void, undefined> {
  let next = cursor;
  const open = (remaining: CallOptions) => introspection.watchRevocations({ cursor: next }, remaining);
  for await (const response of resumed(retry, options, open)) {
    next = response.cursor;
    yield response;
  }
}

/**
 * Every message of a stream that is opened again where it ends or breaks off, as often as `retry` allows without a
 * message in between. Never ends by itself but with a failure. `open` is given the options with the time that is left.
 */
async function* resumed<Message>(
  retry: RetryPolicy,
  options: CallOptions,
  open: (remaining: CallOptions) => AsyncIterable<Message>,
): AsyncGenerator<Message, void, undefined> {
  const { timeoutMs } = options;
  const deadline = timeoutMs === undefined ? Infinity : Date.now() + positive(timeoutMs);
  const remaining = () =>
    timeoutMs === undefined ? options : { ...options, timeoutMs: Math.max(1, deadline - Date.now()) };
  for (let failures = 1; ; failures += 1) {
    let failure: CountersignError;
    try {
      for await (const message of open(remaining())) {
        failures = 1;
        yield message;
      }
      // As it should, but before what was waited for.
      failure = new CountersignError("unavailable", status.UNAVAILABLE, "the gateway ended the stream");
    } catch (error) {
      if (!(error instanceof CountersignError)) {
        throw error;
      }
      failure = error;
    }
    const pause = pauseAfter(retry, failures, failure, deadline - Date.now());
    if (pause === undefined) {
      throw failure;
    }
    await paused(pause, options.signal, failure.requestId);
  }
}

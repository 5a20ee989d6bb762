import { status } from "@grpc/grpc-js";

import type { CountersignError } from "./errors.js";

/**
 * Bounds on the repetition of a call that is safe to repeat.
 *
 * A call is repeated where it failed with UNAVAILABLE, or with RESOURCE_EXHAUSTED and a RetryInfo, and never past its
 * deadline. The pause before attempt n+1 is drawn evenly between 0 and `initialBackoffMs * multiplier ** (n - 1)`, at
 * most `maxBackoffMs`, so that clients which failed together do not come back together. A RetryInfo is waited for in
 * full, the drawn pause added.
 */
export interface RetryPolicy {
  /** Calls in all, at least 1; 1 turns repetition off. */
  readonly maxAttempts: number;
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly multiplier: number;
}

/** That of the Python client. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  maxAttempts: 4,
  initialBackoffMs: 100,
  maxBackoffMs: 2000,
  multiplier: 2,
};

/** Throws a `RangeError` where `policy` cannot be followed. */
export function validate(policy: RetryPolicy): void {
  if (!(policy.maxAttempts >= 1)) {
    throw new RangeError("maxAttempts must be at least 1");
  }
  if (!(policy.initialBackoffMs > 0 && policy.initialBackoffMs <= policy.maxBackoffMs)) {
    throw new RangeError("initialBackoffMs must be above 0 and not above maxBackoffMs");
  }
  if (!(policy.multiplier >= 1)) {
    throw new RangeError("multiplier must be at least 1");
  }
}

/** Milliseconds to wait after failed attempt number `attempt` (from 1); undefined where `error` is final. */
export function pauseAfter(
  policy: RetryPolicy,
  attempt: number,
  error: CountersignError,
  remainingMs: number,
): number | undefined {
  if (attempt >= policy.maxAttempts || !isTemporary(error)) {
    return undefined;
  }
  const longest = Math.min(policy.maxBackoffMs, policy.initialBackoffMs * policy.multiplier ** (attempt - 1));
  const pause = Math.random() * longest + Math.max(0, error.retryAfterMs ?? 0);
  return pause < remainingMs ? pause : undefined;
}

function isTemporary(error: CountersignError): boolean {
  if (error.code === status.RESOURCE_EXHAUSTED) {
    return error.retryAfterMs !== undefined;
  }
  return error.code === status.UNAVAILABLE;
}

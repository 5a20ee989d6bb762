import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import type { DescMethod, Message } from "@bufbuild/protobuf";
import {
  Metadata,
  status,
  type Client,
  type ServiceError,
} from "@grpc/grpc-js";

import { CountersignError, errorOfCall, REQUEST_ID } from "./errors.js";
import { identified, mayRepeat } from "./repetition.js";
import { pauseAfter, type RetryPolicy } from "./retry.js";
import { wire, type CallOptions, type Transport } from "./stub.js";

/** The longest that a timer can wait, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Does for every call what a channel does not: a deadline, a request id, repetition, typed errors. */
export class Caller implements Transport {
  readonly #underWay = new Set<{ cancel(): void }>();
  #closed = false;

  constructor(
    private readonly channel: Client,
    private readonly timeoutMs: number,
    private readonly retry: RetryPolicy,
    private readonly callerToken: (() => string | Promise<string>) | undefined,
  ) {}

  /** Gives up every call that is under way, and whatever is called after this. */
  close(): void {
    this.#closed = true;
    this.#underWay.forEach((call) => call.cancel());
    this.channel.close();
  }

  /** Makes the attempts of one call, under one request id and one deadline. */
  async unary(method: DescMethod, given: Message, options: CallOptions): Promise<Message> {
    const deadline = Date.now() + positive(options.timeoutMs ?? this.timeoutMs);
    const requestId = options.metadata?.[REQUEST_ID] ?? randomUUID();
    const request = identified(given);
    // A DPoP proof is good for one attempt (RFC 9449 §11.1).
    const repeat = mayRepeat(method, request) && options.metadata?.["dpop"] === undefined;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.attempt(method, request, options, requestId, deadline);
      } catch (error) {
        const pause =
          repeat && error instanceof CountersignError
            ? pauseAfter(this.retry, attempt, error, deadline - Date.now())
            : undefined;
        if (pause === undefined) {
          throw error;
        }
        await paused(pause, options.signal, requestId);
      }
    }
  }

  /**
   * Opens a stream. Leaving the loop ends it. Opening it anew is left to the caller, who knows where to go on, as
   * `GatewayClient.watchRevocations` and `watchPresentationRequest` do.
   */
  async *stream(method: DescMethod, request: Message, options: CallOptions): AsyncIterable<Message> {
    const requestId = options.metadata?.[REQUEST_ID] ?? randomUUID();
    const deadline = options.timeoutMs === undefined ? Infinity : Date.now() + positive(options.timeoutMs);
    const metadata = await this.metadata(options, requestId, deadline);
    const { path, serialize, deserialize } = wire(method);
    this.#refuseGivenUp(options.signal, requestId);
    const call = this.channel.makeServerStreamRequest(path, serialize, deserialize, request, metadata, { deadline });
    this.#underWay.add(call);
    let header: Metadata | undefined;
    call.on("metadata", (received: Metadata) => (header = received));
    const cancel = () => call.cancel();
    options.signal?.addEventListener("abort", cancel);
    try {
      yield* call as AsyncIterable<Message>;
    } catch (failure) {
      throw errorOfCall(failure as ServiceError, requestId, header, this.#givenUp(options.signal));
    } finally {
      this.#underWay.delete(call);
      options.signal?.removeEventListener("abort", cancel);
      call.cancel();
    }
  }

  private async attempt(
    method: DescMethod,
    request: Message,
    options: CallOptions,
    requestId: string,
    deadline: number,
  ): Promise<Message> {
    const metadata = await this.metadata(options, requestId, deadline);
    this.#refuseGivenUp(options.signal, requestId);
    const { path, serialize, deserialize } = wire(method);
    return await new Promise<Message>((resolve, reject) => {
      let header: Metadata | undefined;
      const cancel = () => call.cancel();
      const call = this.channel.makeUnaryRequest(
        path,
        serialize,
        deserialize,
        request,
        metadata,
        { deadline },
        (failure, response) => {
          this.#underWay.delete(call);
          options.signal?.removeEventListener("abort", cancel);
          if (failure === null && response !== undefined) {
            resolve(response);
          } else {
            reject(errorOfCall(failure as ServiceError, requestId, header, this.#givenUp(options.signal)));
          }
        },
      );
      this.#underWay.add(call);
      call.on("metadata", (received) => (header = received));
      options.signal?.addEventListener("abort", cancel);
    });
  }

  private async metadata(options: CallOptions, requestId: string, deadline: number): Promise<Metadata> {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(options.metadata ?? {})) {
      metadata.set(name, value);
    }
    metadata.set(REQUEST_ID, requestId);
    if (this.callerToken !== undefined) {
      this.#refuseGivenUp(options.signal, requestId);
      const token = await this.#within(deadline, options.signal, requestId, tokenFrom(this.callerToken, requestId));
      metadata.set("authorization", `Bearer ${token}`);
    }
    return metadata;
  }

  /** What `work` comes to, unless the deadline passes or the call is given up before; then nobody looks at it. */
  async #within<Result>(
    deadline: number,
    signal: AbortSignal | undefined,
    requestId: string,
    work: Promise<Result>,
  ): Promise<Result> {
    let release = () => {};
    const ended = new Promise<never>((_, reject) => {
      const late = () => {
        const detail = "the caller's token did not come before the deadline";
        reject(new CountersignError("deadline-exceeded", status.DEADLINE_EXCEEDED, detail, { requestId }));
      };
      const left = deadline - Date.now();
      const timer = left > LONGEST_TIMER_MS ? undefined : setTimeout(late, left);
      const waiting = { cancel: () => reject(givenUp(requestId)) };
      this.#underWay.add(waiting);
      signal?.addEventListener("abort", waiting.cancel);
      release = () => {
        clearTimeout(timer);
        this.#underWay.delete(waiting);
        signal?.removeEventListener("abort", waiting.cancel);
      };
    });
    try {
      return await Promise.race([work, ended]);
    } finally {
      release();
    }
  }

  #givenUp(signal: AbortSignal | undefined): boolean {
    return this.#closed || (signal?.aborted ?? false);
  }

  #refuseGivenUp(signal: AbortSignal | undefined, requestId: string): void {
    if (this.#givenUp(signal)) {
      throw givenUp(requestId);
    }
  }
}

/** `milliseconds`, which must be above 0. */
export function positive(milliseconds: number): number {
  if (!(milliseconds > 0)) {
    throw new RangeError("timeoutMs must be above 0");
  }
  return milliseconds;
}

/** Waits. Throws a `CountersignError` of the kind "cancelled" where the caller gives up meanwhile. */
export async function paused(
  pause: number,
  signal: AbortSignal | undefined,
  requestId: string | undefined,
): Promise<void> {
  try {
    await sleep(pause, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw givenUp(requestId, cause);
  }
}

/** The caller's token; a failure to get it is a `CountersignError`. */
async function tokenFrom(callerToken: () => string | Promise<string>, requestId: string): Promise<string> {
  try {
    return await callerToken();
  } catch (cause) {
    const detail = "the caller's token could not be had";
    throw new CountersignError("unauthenticated", status.UNAUTHENTICATED, detail, { requestId, cause });
  }
}

function givenUp(requestId: string | undefined, cause?: unknown): CountersignError {
  const facts = requestId === undefined ? { cause } : { requestId, cause };
  return new CountersignError("cancelled", status.CANCELLED, "given up here", facts);
}

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { status } from "@grpc/grpc-js";

import {
  CountersignError,
  PresentationRequestState as State,
  type CallOptions,
  type GatewayClient,
  type WatchPresentationRequestRequest,
} from "../src/index.js";
import { ends, hangs, refusal, ScriptedGateway, type Failure } from "./gateway.js";

const UNAVAILABLE = refusal(status.UNAVAILABLE, "STORE_UNAVAILABLE");
const NAME = "presentationRequests/r1";
let gateway: ScriptedGateway;

beforeEach(async () => {
  gateway = await ScriptedGateway.start();
});

afterEach(() => gateway.stop());

/** Every state that a watcher sees, and the kind of the failure that ended it. */
async function followed(client: GatewayClient, options: CallOptions = {}): Promise<(State | string)[]> {
  const seen: (State | string)[] = [];
  try {
    for await (const { state } of client.watchPresentationRequest(NAME, options)) {
      seen.push(state);
    }
  } catch (error) {
    assert.ok(error instanceof CountersignError, `not a typed error: ${String(error)}`);
    seen.push(error.kind);
  }
  return seen;
}

test("a watch goes on where a stream ends or breaks off, and tells each state once", async () => {
  const { CREATED, FETCHED, SUBMITTED, VERIFIED } = State;
  gateway.states.push([CREATED], [CREATED, FETCHED], [FETCHED, SUBMITTED], [VERIFIED, CREATED]);
  gateway.script.push(UNAVAILABLE, ends, UNAVAILABLE);
  assert.deepEqual(await followed(gateway.client()), [CREATED, FETCHED, SUBMITTED, VERIFIED]);
  assert.equal(gateway.calls.length, 4);
  const [first] = gateway.calls;
  assert.equal((first?.request as WatchPresentationRequestRequest).name, NAME);
  assert.ok(first !== undefined && first.remainingMs > 3_900_000 && first.remainingMs <= 4_000_000);
});

const failures: [string, Failure[], string, number][] = [
  ["another stream cannot mend it", [refusal(status.NOT_FOUND, "PRESENTATION_REQUEST_NOT_FOUND")], "not-found", 1],
  ["the gateway is never there", [UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE], "unavailable", 4],
  ["every stream ends at once", [ends, ends, ends, ends], "unavailable", 4],
];
for (const [name, script, kind, streams] of failures) {
  test(`a watch fails where ${name}`, async () => {
    gateway.script.push(...script);
    assert.deepEqual(await followed(gateway.client()), [kind]);
    assert.equal(gateway.calls.length, streams);
  });
}

test("failures are counted anew after an answer", async () => {
  gateway.states.push([], [], [], [State.CREATED], [], [], [State.REFUSED]);
  gateway.script.push(...Array.from({ length: 6 }, () => UNAVAILABLE));
  assert.deepEqual(await followed(gateway.client()), [State.CREATED, State.REFUSED]);
});

test("leaving the loop ends the stream", async () => {
  gateway.states.push([State.CREATED]);
  for await (const { state } of gateway.client().watchPresentationRequest(NAME)) {
    assert.equal(state, State.CREATED);
    break;
  }
  await gateway.left;
});

test("a watch ends when the caller gives up, or at its deadline", async () => {
  const client = gateway.client();
  gateway.script.push(hangs, hangs);
  assert.deepEqual(await followed(client, { signal: AbortSignal.timeout(50) }), ["cancelled"]);
  assert.deepEqual(await followed(client, { timeoutMs: 50 }), ["deadline-exceeded"]);
});

test("revocations go on after the last cursor", async () => {
  gateway.script.push(UNAVAILABLE, ends);
  const cursors: string[] = [];
  for await (const { cursor } of gateway.client().watchRevocations("r1.1")) {
    cursors.push(cursor);
    if (cursors.length === 3) {
      break;
    }
  }
  assert.deepEqual(cursors, ["r1.11", "r1.111", "r1.1111"]);
});

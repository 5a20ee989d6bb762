import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { status } from "@grpc/grpc-js";

import {
  CountersignError,
  DEFAULT_RETRY_POLICY,
  GatewayClient,
  type CallOptions,
  type CreateClientRequest,
} from "../src/index.js";
import { hangs, refusal, ScriptedGateway, type Failure } from "./gateway.js";

const UNAVAILABLE = refusal(status.UNAVAILABLE, "STORE_UNAVAILABLE");
const GET = { name: "clients/billing" };
let gateway: ScriptedGateway;

beforeEach(async () => {
  gateway = await ScriptedGateway.start();
});

afterEach(() => gateway.stop());

async function failureOf(call: Promise<unknown>): Promise<CountersignError> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CountersignError, `not a typed error: ${String(error)}`);
  return error;
}

describe("errors", () => {
  test("carry what the gateway said", async () => {
    gateway.script.push(
      refusal(status.INVALID_ARGUMENT, "INVALID_SCOPE", { field: "scope", retryAfterMs: 90_500 }),
    );
    const error = await failureOf(gateway.client().clients.getClient(GET));
    assert.equal(error.kind, "invalid-request");
    assert.equal(error.code, status.INVALID_ARGUMENT);
    assert.equal(error.reason, "INVALID_SCOPE");
    assert.deepEqual({ ...error.metadata }, { limit: "5" });
    assert.deepEqual(error.fieldViolations, [{ field: "scope", description: "is unknown" }]);
    assert.equal(error.retryAfterMs, 90_500);
    assert.equal(error.message, "INVALID_SCOPE: It failed.; scope: is unknown; request id answered");
  });

  test("have the kind of their reason, else of their code", async () => {
    const client = gateway.client({ retry: { ...DEFAULT_RETRY_POLICY, maxAttempts: 1 } });
    const cases: [Failure, string][] = [
      [refusal(status.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"), "invalid-request"],
      [refusal(status.UNAUTHENTICATED, "INVALID_CLIENT"), "unauthenticated"],
      [refusal(status.PERMISSION_DENIED, "NEWER_THAN_THIS_CLIENT"), "permission-denied"],
      [refusal(status.ABORTED, "INVALID_FIELD", { domain: "another" }), "conflict"],
      [{ code: status.NOT_FOUND, details: "no details" }, "not-found"],
      [refusal(status.INTERNAL, "INTERNAL"), "other"],
    ];
    for (const [failure, kind] of cases) {
      gateway.script.push(failure);
      assert.equal((await failureOf(client.clients.getClient(GET))).kind, kind);
    }
  });

  test("say that there is no gateway", async () => {
    const error = await failureOf(gateway.client({ target: "localhost:1" }).clients.getClient(GET));
    assert.equal(error.kind, "unavailable");
    assert.equal(error.reason, undefined);
  });
});

describe("a safe call", () => {
  test("is repeated under one request id", async () => {
    gateway.script.push(
      UNAVAILABLE,
      { code: status.CANCELLED, details: "shutting down" },
      refusal(status.RESOURCE_EXHAUSTED, "OVERLOADED", { retryAfterMs: 1 }),
    );
    await gateway.client().clients.getClient(GET);
    const ids = gateway.calls.map((call) => call.metadata.get("x-request-id")[0]);
    assert.equal(ids.length, 4);
    assert.equal(new Set(ids).size, 1);
  });

  test("is repeated as often as the policy says and no more", async () => {
    gateway.script.push(...Array.from({ length: 9 }, () => UNAVAILABLE));
    assert.equal((await failureOf(gateway.client().clients.getClient(GET))).kind, "unavailable");
    assert.equal(gateway.calls.length, 4);
  });
});

describe("sent once", () => {
  const authentication = { method: { case: "privateKeyJwt", value: { assertion: "e30" } } } as const;
  const code = { case: "authorizationCode", value: { code: "c" } } as const;
  const overloaded = refusal(status.RESOURCE_EXHAUSTED, "OVERLOADED");
  const late = refusal(status.UNAVAILABLE, "SHUTTING_DOWN", { retryAfterMs: 3_600_000 });
  const wrong = refusal(status.INVALID_ARGUMENT, "INVALID_FIELD");
  const cases: [string, Failure, (client: GatewayClient) => Promise<unknown>][] = [
    ["delete", UNAVAILABLE, (client) => client.clients.deleteClient(GET)],
    ["a secret with an etag", UNAVAILABLE, (client) => client.clients.rotateClientSecret({ etag: "1" })],
    ["a code", UNAVAILABLE, (client) => client.tokens.mintToken({ grant: code })],
    ["an assertion", UNAVAILABLE, (client) => client.tokens.mintToken({ authentication })],
    ["a DPoP proof", UNAVAILABLE, (client) => client.tokens.mintToken({}, { metadata: { dpop: "proof" } })],
    ["overload without a time", overloaded, (client) => client.clients.getClient(GET)],
    ["a time past the deadline", late, (client) => client.clients.getClient(GET)],
    ["a wrong request", wrong, (client) => client.clients.getClient(GET)],
  ];
  for (const [name, failure, call] of cases) {
    test(name, async () => {
      gateway.script.push(failure);
      await failureOf(call(gateway.client()));
      assert.equal(gateway.calls.length, 1);
    });
  }
});

test("all attempts of a mutation have one id", async () => {
  gateway.script.push(UNAVAILABLE);
  await gateway.client().clients.createClient({});
  const [first, second] = gateway.calls.map((call) => (call.request as CreateClientRequest).requestId);
  assert.match(first ?? "", /^[0-9a-f-]{36}$/);
  assert.equal(first, second);
});

describe("a deadline", () => {
  test("is the client's unless the call has one", async () => {
    const client = gateway.client({ timeoutMs: 60_000 });
    await client.clients.getClient(GET);
    await client.clients.getClient(GET, { timeoutMs: 5_000 });
    const [first, second] = gateway.calls.map((call) => call.remainingMs);
    assert.ok(first !== undefined && first > 30_000 && first <= 60_000, `${first}`);
    assert.ok(second !== undefined && second <= 5_000, `${second}`);
  });

  test("ends the call", async () => {
    gateway.script.push(hangs);
    const error = await failureOf(gateway.client().clients.getClient(GET, { timeoutMs: 200 }));
    assert.equal(error.kind, "deadline-exceeded");
  });
});

describe("giving up", () => {
  test("ends a call that is under way", async () => {
    gateway.script.push(hangs);
    const abort = new AbortController();
    const call = gateway.client().clients.getClient(GET, { signal: abort.signal });
    setImmediate(() => abort.abort());
    assert.equal((await failureOf(call)).kind, "cancelled");
  });

  test("ends a call between two attempts", async () => {
    gateway.script.push(refusal(status.UNAVAILABLE, "SHUTTING_DOWN", { retryAfterMs: 3_600_000 }));
    const abort = new AbortController();
    const call = gateway.client({ timeoutMs: 86_400_000 }).clients.getClient(GET, { signal: abort.signal });
    while (gateway.calls.length === 0) {
      await turn();
    }
    abort.abort();
    assert.equal((await failureOf(call)).kind, "cancelled");
    assert.equal(gateway.calls.length, 1);
  });

  test("is what closing the client does to its calls", async () => {
    gateway.script.push(hangs);
    const client = gateway.client();
    const call = client.clients.getClient(GET);
    const stream = client.introspection.watchRevocations({})[Symbol.asyncIterator]();
    await stream.next();
    while (gateway.calls.length < 2) {
      await turn();
    }
    client.close();
    assert.equal((await failureOf(call)).kind, "cancelled");
    assert.equal((await failureOf(stream.next())).kind, "cancelled");
    assert.equal((await failureOf(client.clients.getClient(GET))).kind, "cancelled");
    assert.equal(gateway.calls.length, 2);
  });

  test("ends a call before it begins", async () => {
    const call = gateway.client().clients.getClient(GET, { signal: AbortSignal.abort() });
    assert.equal((await failureOf(call)).kind, "cancelled");
    assert.equal(gateway.calls.length, 0);
  });
});

test("the caller's token is asked for anew for every attempt, and a failure to get it is typed", async () => {
  const tokens = ["first", "second"];
  const client = gateway.client({
    callerToken: () => {
      const token = tokens.shift();
      assert.ok(token !== undefined);
      return token;
    },
  });
  gateway.script.push(UNAVAILABLE);
  await client.clients.getClient(GET);
  const sent = gateway.calls.map((call) => call.metadata.get("authorization"));
  assert.deepEqual(sent, [["Bearer first"], ["Bearer second"]]);
  assert.equal((await failureOf(client.clients.getClient(GET))).kind, "unauthenticated");
});

describe("a caller's token that does not come", () => {
  const never = () => new Promise<string>(() => {});
  const watch = async (client: GatewayClient, options: CallOptions) => {
    for await (const response of client.introspection.watchRevocations({}, options)) {
      assert.fail(`it was opened: ${response.cursor}`);
    }
  };
  const calls: [string, (client: GatewayClient, options: CallOptions) => Promise<unknown>][] = [
    ["a call", (client, options) => client.clients.getClient(GET, options)],
    ["a stream", watch],
  ];
  for (const [name, call] of calls) {
    test(`ends ${name} at its deadline`, async () => {
      const client = gateway.client({ callerToken: never });
      assert.equal((await failureOf(call(client, { timeoutMs: 50 }))).kind, "deadline-exceeded");
      assert.equal(gateway.calls.length, 0);
    });

    test(`ends ${name} that is given up, or whose client is closed`, async () => {
      const client = gateway.client({ callerToken: never, timeoutMs: 86_400_000 });
      const given = call(client, { signal: AbortSignal.timeout(50) });
      assert.equal((await failureOf(given)).kind, "cancelled");
      const closed = call(client, {});
      await turn();
      client.close();
      assert.equal((await failureOf(closed)).kind, "cancelled");
      assert.equal(gateway.calls.length, 0);
    });
  }

  test("is not asked for where the call was given up before", async () => {
    const client = gateway.client({ callerToken: () => assert.fail("it was asked for") });
    const call = client.clients.getClient(GET, { signal: AbortSignal.abort() });
    assert.equal((await failureOf(call)).kind, "cancelled");
  });

  test("has the time of the call with all its attempts", async () => {
    let asked = 0;
    const client = gateway.client({ callerToken: () => (++asked === 1 ? "first" : never()) });
    gateway.script.push(UNAVAILABLE);
    assert.equal((await failureOf(client.clients.getClient(GET, { timeoutMs: 2000 }))).kind, "deadline-exceeded");
    assert.equal(gateway.calls.length, 1);
  });
});

test("a stream that breaks off says why", async () => {
  gateway.script.push(refusal(status.UNAVAILABLE, "SHUTTING_DOWN"));
  const cursors: string[] = [];
  const watch = async () => {
    for await (const response of gateway.client().introspection.watchRevocations({})) {
      cursors.push(response.cursor);
    }
  };
  const error = await failureOf(watch());
  assert.deepEqual(cursors, ["1"]);
  assert.equal(error.reason, "SHUTTING_DOWN");
});

test("a loop that is left ends its stream", async () => {
  for await (const response of gateway.client().introspection.watchRevocations({})) {
    assert.equal(response.cursor, "1");
    break;
  }
  await gateway.left;
});

test("a stream ends when the caller gives up, or at its deadline", async () => {
  const { introspection } = gateway.client();
  for (const [options, kind] of [
    [{ signal: AbortSignal.timeout(50) }, "cancelled"],
    [{ timeoutMs: 50 }, "deadline-exceeded"],
  ] as const) {
    const watch = async () => {
      for await (const response of introspection.watchRevocations({}, options)) {
        assert.equal(response.cursor, "1");
      }
    };
    assert.equal((await failureOf(watch())).kind, kind);
  }
});

test("what cannot work is said when the client is made", () => {
  const { ca, certificate } = gateway.tls;
  writeFileSync(`${ca}.empty`, "");
  const retry = DEFAULT_RETRY_POLICY;
  assert.throws(() => gateway.client({ timeoutMs: 0 }), RangeError);
  assert.throws(() => gateway.client({ retry: { ...retry, maxAttempts: 0 } }), RangeError);
  assert.throws(() => gateway.client({ retry: { ...retry, initialBackoffMs: 3000 } }), RangeError);
  assert.throws(() => gateway.client({ retry: { ...retry, multiplier: 0.5 } }), RangeError);
  assert.throws(() => gateway.client({ tls: { ca, certificate } }), TypeError);
  assert.throws(() => gateway.client({ tls: { ca: `${ca}.not` } }));
  assert.throws(() => gateway.client({ tls: { ca, certificate, privateKey: `${ca}.empty` } }));
});

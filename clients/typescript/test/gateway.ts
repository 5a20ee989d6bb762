/** A scripted gateway over mutual TLS, for the tests of this client. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { create, fromBinary, isMessage, toBinary, type Message } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
} from "@grpc/grpc-js";

import { ClientService } from "../src/gen/countersign/v1/client_service_pb.js";
import {
  IntrospectionService,
  WatchRevocationsRequestSchema,
  WatchRevocationsResponseSchema,
} from "../src/gen/countersign/v1/introspection_service_pb.js";
import {
  PresentationService,
  WatchPresentationRequestResponseSchema,
  type PresentationRequestState,
} from "../src/gen/countersign/v1/presentation_service_pb.js";
import { TokenService } from "../src/gen/countersign/v1/token_service_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../src/gen/google/rpc/status_pb.js";
import { GatewayClient, type GatewayConfig } from "../src/index.js";

/** What the gateway saw of one attempt. */
export interface Call {
  readonly path: string;
  readonly metadata: Metadata;
  readonly request: Message;
  readonly remainingMs: number;
}

/** How an attempt fails; `hangs` leaves it without an answer. */
export interface Failure {
  readonly code: status;
  readonly details: string;
  readonly metadata?: Metadata;
}

export const hangs: Failure = { code: status.UNKNOWN, details: "hung" };

/** A stream ends as it should. */
export const ends: Failure = { code: status.OK, details: "ended" };

/** What the gateway sends where a call fails. */
export function refusal(
  code: status,
  reason: string,
  beside: { field?: string; retryAfterMs?: number; domain?: string } = {},
): Failure {
  const info = create(ErrorInfoSchema, {
    domain: beside.domain ?? "countersign",
    reason,
    metadata: { limit: "5" },
  });
  const details = [anyPack(ErrorInfoSchema, info)];
  if (beside.field !== undefined) {
    const fieldViolations = [{ field: beside.field, description: "is unknown" }];
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })));
  }
  if (beside.retryAfterMs !== undefined) {
    const seconds = Math.trunc(beside.retryAfterMs / 1000);
    const retryDelay = { seconds: BigInt(seconds), nanos: (beside.retryAfterMs - seconds * 1000) * 1e6 };
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
  }
  const sent = create(StatusSchema, { code, message: "It failed.", details });
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, sent)));
  metadata.set("x-request-id", "answered");
  return { code, details: "It failed.", metadata };
}

/** Fails each attempt as `script` says, and succeeds once that is used up. A stream then stays open. */
export class ScriptedGateway {
  readonly calls: Call[] = [];
  readonly script: Failure[] = [];
  /** Those that each stream of a presentation request tells. */
  readonly states: PresentationRequestState[][] = [];
  /** Resolved when a caller has left a stream. */
  readonly left: Promise<void>;
  #leave: () => void = () => undefined;
  readonly #server = new Server();
  readonly #folder = mkdtempSync(join(tmpdir(), "countersign-"));
  readonly #clients: GatewayClient[] = [];
  #port = 0;

  constructor() {
    this.left = new Promise((resolve) => (this.#leave = resolve));
  }

  static async start(): Promise<ScriptedGateway> {
    const gateway = new ScriptedGateway();
    await gateway.#listen();
    return gateway;
  }

  /** A client of this gateway; it repeats at once, as the pauses are a test of their own. */
  client(change: Partial<GatewayConfig> = {}): GatewayClient {
    const client = new GatewayClient({
      target: `localhost:${this.#port}`,
      tls: this.tls,
      retry: { maxAttempts: 4, initialBackoffMs: 0.001, maxBackoffMs: 0.001, multiplier: 1 },
      ...change,
    });
    this.#clients.push(client);
    return client;
  }

  get tls(): { ca: string; certificate: string; privateKey: string } {
    const certificate = join(this.#folder, "both.pem");
    return { ca: certificate, certificate, privateKey: join(this.#folder, "both-key.pem") };
  }

  stop(): void {
    this.#clients.forEach((client) => client.close());
    this.#server.forceShutdown();
    rmSync(this.#folder, { recursive: true });
  }

  async #listen(): Promise<void> {
    // One self-signed certificate is both sides and their root.
    const { certificate, privateKey } = this.tls;
    const options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 1 -subj /CN=localhost";
    const names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", privateKey, "-out", certificate];
    execFileSync("openssl", ["req", ...options.split(" "), ...names], { stdio: "ignore" });
    for (const service of [ClientService, IntrospectionService, PresentationService, TokenService]) {
      const methods = service.methods.map((method) => {
        const path = `/${service.typeName}/${method.name}`;
        const definition = {
          path,
          requestStream: false,
          responseStream: method.methodKind === "server_streaming",
          requestSerialize: () => Buffer.alloc(0),
          requestDeserialize: (octets: Buffer): Message => fromBinary(method.input, octets),
          responseSerialize: (message: Message) => Buffer.from(toBinary(method.output, message)),
          responseDeserialize: () => create(method.output),
        };
        const succeed = () => create(method.output);
        return [method.localName, definition, succeed] as const;
      });
      const definitions = Object.fromEntries(methods.map(([name, definition]) => [name, definition]));
      const handlers = Object.fromEntries(
        methods.map(([name, definition, succeed]) => [
          name,
          definition.responseStream ? this.#watch(definition.path) : this.#answer(definition.path, succeed),
        ]),
      );
      this.#server.addService(definitions as ServiceDefinition, handlers);
    }
    const pair = { cert_chain: readFileSync(certificate), private_key: readFileSync(privateKey) };
    const credentials = ServerCredentials.createSsl(pair.cert_chain, [pair], true);
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", credentials, (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  }

  #answer(path: string, succeed: () => Message) {
    return (
      call: ServerUnaryCall<Message, Message>,
      respond: (failure: Failure | null, response?: Message) => void,
    ) => {
      const remainingMs = new Date(call.getDeadline()).getTime() - Date.now();
      this.calls.push({ path, metadata: call.metadata, request: call.request, remainingMs });
      const failure = this.script.shift();
      if (failure === undefined) {
        respond(null, succeed());
      } else if (failure !== hangs) {
        respond(failure);
      }
    };
  }

  #watch(path: string) {
    return (call: ServerWritableStream<Message, Message>): void => {
      const { request, metadata } = call;
      this.calls.push({ path, metadata, request, remainingMs: new Date(call.getDeadline()).getTime() - Date.now() });
      if (isMessage(request, WatchRevocationsRequestSchema)) {
        // The cursor after the one that is asked for.
        call.write(create(WatchRevocationsResponseSchema, { cursor: `${request.cursor}1` }));
      }
      for (const state of this.states.shift() ?? []) {
        call.write(create(WatchPresentationRequestResponseSchema, { request: { name: "r1", state } }));
      }
      call.on("cancelled", this.#leave);
      const failure = this.script.shift();
      if (failure === ends) {
        call.end();
      } else if (failure !== undefined && failure !== hangs) {
        call.emit("error", failure);
      }
    };
  }
}

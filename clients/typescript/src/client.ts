import { Client as Channel, type ClientOptions } from "@grpc/grpc-js";

import { Caller, positive } from "./calls.js";
import { AuditService } from "./gen/countersign/v1/audit_service_pb.js";
import { AuthorizationService } from "./gen/countersign/v1/authorization_service_pb.js";
import { ClientService } from "./gen/countersign/v1/client_service_pb.js";
import { EnrollmentService } from "./gen/countersign/v1/enrollment_service_pb.js";
import { IntrospectionService, type WatchRevocationsResponse } from "./gen/countersign/v1/introspection_service_pb.js";
import { KeyService } from "./gen/countersign/v1/key_service_pb.js";
import { PresentationService, type PresentationRequest } from "./gen/countersign/v1/presentation_service_pb.js";
import { TokenService } from "./gen/countersign/v1/token_service_pb.js";
import { DEFAULT_RETRY_POLICY, validate, type RetryPolicy } from "./retry.js";
import { makeStub, type CallOptions, type Stub } from "./stub.js";
import { channelCredentials, type TlsFiles } from "./tls.js";
import { presentationRequestWatch, revocationWatch } from "./watching.js";

/** How a client reaches the gateway. */
export interface GatewayConfig {
  /** host:port of the TLS listener. */
  readonly target: string;
  /** host:port of the mutual-TLS listener; every call goes there where `tls` names a certificate. */
  readonly mtlsTarget?: string;
  /** Whom the client trusts and who it is; the files are read once. */
  readonly tls: TlsFiles;
  /** Milliseconds for a call with all its attempts, unless the call names its own; 10 seconds. Streams have none. */
  readonly timeoutMs?: number;
  /** When a call that is safe to repeat is repeated. */
  readonly retry?: RetryPolicy;
  /**
   * Returns the access token that identifies the caller where there is no certificate; called for every attempt, so
   * that it can renew the token. The deadline of a call bounds the wait for it, and so does giving the call up.
   */
  readonly callerToken?: () => string | Promise<string>;
}

/** Calls one gateway over one connection, which the first call opens. */
export class GatewayClient {
  readonly tokens: Stub<typeof TokenService>;
  readonly introspection: Stub<typeof IntrospectionService>;
  readonly authorizations: Stub<typeof AuthorizationService>;
  readonly clients: Stub<typeof ClientService>;
  readonly keys: Stub<typeof KeyService>;
  readonly enrollment: Stub<typeof EnrollmentService>;
  readonly presentations: Stub<typeof PresentationService>;
  readonly audit: Stub<typeof AuditService>;
  readonly #caller: Caller;
  readonly #retry: RetryPolicy;

  /** Throws where the configuration or a file cannot be used. */
  constructor(config: GatewayConfig) {
    const retry = config.retry ?? DEFAULT_RETRY_POLICY;
    validate(retry);
    this.#retry = retry;
    const timeoutMs = positive(config.timeoutMs ?? 10_000);
    const identified = config.mtlsTarget !== undefined && config.tls.certificate !== undefined;
    const address = identified ? config.mtlsTarget : config.target;
    const channel = new Channel(address, channelCredentials(config.tls), channelOptions(config.tls));
    const caller = new Caller(channel, timeoutMs, retry, config.callerToken);
    this.#caller = caller;
    this.tokens = makeStub(TokenService, caller);
    this.introspection = makeStub(IntrospectionService, caller);
    this.authorizations = makeStub(AuthorizationService, caller);
    this.clients = makeStub(ClientService, caller);
    this.keys = makeStub(KeyService, caller);
    this.enrollment = makeStub(EnrollmentService, caller);
    this.presentations = makeStub(PresentationService, caller);
    this.audit = makeStub(AuditService, caller);
  }

  /**
   * A request for presentations as it is, and then whenever it changes; ends after a state that is final. `name` is
   * that of the request: presentationRequests/{request}.
   *
   * The stream is opened again where it breaks off, as often as the retry policy allows without an answer in between;
   * what was given before is not given again. States that followed each other meanwhile are seen as the last of them.
   * `timeoutMs` is for all of it; without one, longer than a request lives. Leaving the loop ends the stream.
   */
  watchPresentationRequest(name: string, options: CallOptions = {}): AsyncIterable<PresentationRequest> {
    return presentationRequestWatch(this.presentations, this.#retry, name, options);
  }

  /**
   * Revocations as they happen, after `cursor`, or all that still matter where it is empty; ends with a failure only.
   *
   * The stream is opened again at its last cursor where it breaks off, as often as the retry policy allows without an
   * answer in between. Keep the cursor of the last response to go on after a restart of your own. A response without
   * revocations says that the stream is alive. Leaving the loop ends the stream.
   */
  watchRevocations(cursor = "", options: CallOptions = {}): AsyncIterable<WatchRevocationsResponse> {
    return revocationWatch(this.introspection, this.#retry, cursor, options);
  }

  /** Ends the connection; calls that are under way are given up, and so are those that come after. */
  close(): void {
    this.#caller.close();
  }
}

function channelOptions(tls: TlsFiles): ClientOptions {
  return {
    "grpc.primary_user_agent": "countersign-typescript",
    // Repetition is decided here alone: neither by DNS nor by gRPC.
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_retries": 0,
    // gRPC's own two minutes between attempts to connect would outlast a restart by far.
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 5000,
    // The gateway counts pings that come more often than every 10 seconds as abuse.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    ...(tls.serverName === undefined ? {} : { "grpc.ssl_target_name_override": tls.serverName }),
  };
}

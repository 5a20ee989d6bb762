import {
  create,
  fromBinary,
  toBinary,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";

/** What a single call may say for itself. */
export interface CallOptions {
  /** Milliseconds for this call with all its attempts; for a stream, until it ends. */
  readonly timeoutMs?: number;
  /** Gives the call up. */
  readonly signal?: AbortSignal;
  /** Sent beside the client's own metadata; `dpop` for a proof, `x-request-id` for an id of one's own. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The methods of a service as functions: a promise for a single response, an async iterable for a stream. */
export type Stub<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: Service["method"][Name] extends DescMethodUnary<infer Input, infer Output>
    ? (request: MessageInitShape<Input>, options?: CallOptions) => Promise<MessageShape<Output>>
    : Service["method"][Name] extends DescMethodServerStreaming<infer Input, infer Output>
      ? (request: MessageInitShape<Input>, options?: CallOptions) => AsyncIterable<MessageShape<Output>>
      : never;
};

/** What makes the calls of a stub. */
export interface Transport {
  unary(method: DescMethod, request: Message, options: CallOptions): Promise<Message>;
  stream(method: DescMethod, request: Message, options: CallOptions): AsyncIterable<Message>;
}

/** The stub of `service`, made from its generated description. */
export function makeStub<Service extends DescService>(service: Service, transport: Transport): Stub<Service> {
  const methods = service.methods.map((method) => {
    const call = (request: MessageInitShape<typeof method.input>, options: CallOptions = {}) => {
      const message = create(method.input, request);
      return method.methodKind === "unary"
        ? transport.unary(method, message, options)
        : transport.stream(method, message, options);
    };
    return [method.localName, call] as const;
  });
  return Object.fromEntries(methods) as unknown as Stub<Service>;
}

/** How a method is called on the wire: its path, and both directions of conversion. */
export function wire(method: DescMethod) {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    serialize: (message: Message) => Buffer.from(toBinary(method.input, message)),
    deserialize: (octets: Buffer): Message => fromBinary(method.output, octets),
  };
}

/**
 * Registers a client, mints a token for it, and follows the token until it is revoked.
 *
 * It needs a development gateway (make serve), whose folder holds the certificates:
 *
 *     npm run build && node dist/examples/lifecycle.js --dir ../../var
 */
import { join } from "node:path";
import { parseArgs } from "node:util";

import { CountersignError, GatewayClient, GrantType } from "../src/index.js";

const CLIENT_ID = "typescript-example";
const RESOURCE = "https://orders.countersign.test";
const IDENTITY = "spiffe://countersign.test/orders-backend";

const { values: options } = parseArgs({
  options: {
    dir: { type: "string", default: "var" },
    target: { type: "string", default: "localhost:50051" },
    "mtls-target": { type: "string", default: "localhost:50052" },
  },
});

function connect(name: string): GatewayClient {
  const folder = options.dir ?? "var";
  return new GatewayClient({
    target: options.target ?? "localhost:50051",
    mtlsTarget: options["mtls-target"] ?? "localhost:50052",
    tls: {
      ca: join(folder, "ca.pem"),
      certificate: join(folder, `${name}.pem`),
      privateKey: join(folder, `${name}-key.pem`),
    },
  });
}

async function introspect(api: GatewayClient, token: string): Promise<void> {
  const { active, token: found } = await api.introspection.introspectToken({ token });
  console.log(active ? `active, issued to ${found?.clientId}` : "not active");
}

async function follow(admin: GatewayClient, backend: GatewayClient, api: GatewayClient): Promise<void> {
  const { client } = await admin.clients.createClient({
    clientId: CLIENT_ID,
    client: {
      displayName: "Example in TypeScript",
      authentication: { case: "tlsClientAuth", value: { identity: { case: "sanUri", value: IDENTITY } } },
      grantTypes: [GrantType.CLIENT_CREDENTIALS],
      scopes: ["orders:read"],
      audiences: [RESOURCE],
      defaultAudience: RESOURCE,
    },
  });
  const name = client?.name ?? "";
  console.log(`registered ${name}`);

  const mint = (scope: string) =>
    backend.tokens.mintToken({
      clientId: CLIENT_ID,
      grant: { case: "clientCredentials", value: {} },
      scope: [scope],
    });
  const { token } = await mint("orders:read");
  const value = token?.value ?? "";
  console.log(`minted ${token?.scope.join(" ")}`);

  await introspect(api, value);
  await backend.tokens.revokeToken({ clientId: CLIENT_ID, target: { case: "token", value } });
  console.log("revoked");
  await introspect(api, value);

  try {
    await mint("orders:delete");
  } catch (error) {
    if (!(error instanceof CountersignError)) {
      throw error;
    }
    console.log(`refused ${error.reason} ${error.kind}`);
  }
  await admin.clients.deleteClient({ name });
}

const callers = ["admin", "orders-backend", "orders-api"].map(connect) as [
  GatewayClient,
  GatewayClient,
  GatewayClient,
];
try {
  await follow(...callers);
} finally {
  callers.forEach((client) => client.close());
}

// npm oidc-provider as its documentation sets it up for client credentials and JWT access tokens, state in memory.
// The one argument names a JSON file: issuer, port, certificate, private_key, jwks, client, audience, scopes.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

import { Provider } from "oidc-provider";

const config = JSON.parse(readFileSync(process.argv[2]));
const provider = new Provider(config.issuer, {
  clients: [config.client],
  jwks: config.jwks,
  scopes: config.scopes,
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        scope: config.scopes.join(" "),
        audience: config.audience,
        accessTokenTTL: 3600,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});
provider.on("server_error", (_, error) => console.error(error));
const tls = { cert: readFileSync(config.certificate), key: readFileSync(config.private_key) };
createServer(tls, provider.callback()).listen(config.port, "127.0.0.1");

// A real OpenID provider on loopback: everybody who comes is logged in as the login_hint, or as alice, and consents.
// The configuration is the first line of standard input; each further line is a command, answered on standard output.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createInterface } from "node:readline";

import { Provider } from "oidc-provider";

console.info = console.error; // Standard output is for answers to commands alone.
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const config = JSON.parse((await lines.next()).value);
let provider;

function build(jwks) {
  const made = new Provider(config.issuer, {
    clients: config.clients,
    jwks,
    cookies: { keys: ["a cookie key of a test"] },
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"], ...config.claims },
    // Claims of scopes are in the ID token, as at most companies' providers.
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: false }, claimsParameter: { enabled: true } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => ({
      accountId: id,
      // A claim that was requested with a value is echoed: so Wire binds its ID tokens to a key.
      claims: async (use, scope, requested) => ({
        ...Object.fromEntries(Object.entries(requested ?? {}).map(([name, wish]) => [name, wish?.value])),
        sub: id,
        ...config.accounts[id],
      }),
    }),
    ...config.options,
  });
  made.on("server_error", (_, error) => console.error(error));
  return made;
}

async function interact(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") {
    const result = { login: { accountId: params.login_hint ?? "alice", ...config.login } };
    return provider.interactionFinished(request, response, result);
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope((prompt.details.missingOIDCScope ?? []).join(" "));
  grant.addOIDCClaims(prompt.details.missingOIDCClaims ?? []);
  const result = { consent: { grantId: await grant.save() } };
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

const tls = { cert: readFileSync(config.certificate), key: readFileSync(config.private_key) };
const server = createServer(tls, (request, response) => {
  if (!request.url.startsWith("/interaction/")) return provider.callback()(request, response);
  return interact(request, response).catch((error) => response.writeHead(500).end(String(error)));
});
server.listen(0, "127.0.0.1", async () => {
  config.issuer = `https://localhost:${server.address().port}`;
  provider = build(config.jwks);
  console.log(JSON.stringify({ issuer: config.issuer }));
  for await (const line of lines) {
    provider = build(JSON.parse(line).jwks);
    console.log(JSON.stringify({ rotated: true }));
  }
  process.exit(0); // Standard input has ended: the test is over, however it ended.
});

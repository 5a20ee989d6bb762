// npm acme-client, unmodified: an account, an http-01 order, the chain, and revocation. The task is on standard input.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Agent } from "node:https";

import acme from "acme-client";

const task = JSON.parse(readFileSync(0, "utf8"));
acme.axios.defaults.httpsAgent = new Agent({ ca: task.root });
acme.axios.defaults.proxy = false;

const answers = new Map();
const web = createServer((request, response) => {
  const answer = answers.get(request.url);
  response.writeHead(answer === undefined ? 404 : 200).end(answer);
});
await new Promise((resolve) => web.listen(task.port, "127.0.0.1", resolve));

const path = (challenge) => `/.well-known/acme-challenge/${challenge.token}`;
const client = new acme.Client({ directoryUrl: task.directory, accountKey: await acme.crypto[task.key]() });
const [, csr] = await acme.crypto.createCsr({ commonName: "", altNames: task.names });
const chain = await client.auto({
  csr,
  termsOfServiceAgreed: true,
  email: "admin@example.org",
  challengePriority: ["http-01"],
  skipChallengeVerification: true,
  challengeCreateFn: async (_, challenge, keyAuthorization) => answers.set(path(challenge), keyAuthorization),
  challengeRemoveFn: async (_, challenge) => answers.delete(path(challenge)),
});
const contact = (await client.updateAccount({ contact: ["mailto:other@example.org"] })).contact;
await client.revokeCertificate(chain, { reason: 4 });
let again;
try {
  await client.revokeCertificate(chain);
} catch (error) {
  again = error.message;
}
await client.updateAccountKey(await acme.crypto.createPrivateEcdsaKey());
const deactivated = (await client.updateAccount({ status: "deactivated" })).status;
web.close();
web.closeAllConnections();
console.log(JSON.stringify({ chain, contact, again, deactivated }));

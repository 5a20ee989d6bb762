/**
 * Asks a wallet for a VerifiedEmployee credential, waits for the answer, and prints what was checked.
 *
 * It needs a development gateway (make serve), whose folder holds the certificates:
 *
 *     npm run build && node dist/examples/presentation.js --dir ../../var
 *
 * It ends with 0 where the answer was accepted, with 2 where it was refused or did not come, and with 1 where the
 * gateway could not be asked.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";

import {
  CountersignError,
  GatewayClient,
  PresentationCheckOutcome,
  PresentationRequestState,
  type PresentationRequest,
} from "../src/index.js";

const { values: options } = parseArgs({
  options: {
    dir: { type: "string", default: "var" },
    target: { type: "string", default: "localhost:50051" },
    "mtls-target": { type: "string", default: "localhost:50052" },
    verifier: { type: "string", default: "demo" },
  },
});

/** The request once nothing follows any more. */
async function ask(client: GatewayClient): Promise<PresentationRequest> {
  const { request: made } = await client.presentations.createPresentationRequest({
    verifier: options.verifier ?? "demo",
    query: { case: "verifiedEmployee", value: { requiredClaims: ["jobTitle"] } },
  });
  if (made === undefined) {
    throw new TypeError("the gateway answered without a request");
  }
  console.log(`open ${made.authorizationRequestUri}`);
  let last = made;
  for await (const request of client.watchPresentationRequest(made.name)) {
    last = request;
    console.log(PresentationRequestState[last.state]?.toLowerCase());
  }
  return last;
}

/** Prints what came of the request, and says whether the answer was accepted. */
function tell({ verification: report, walletError }: PresentationRequest): boolean {
  if (report === undefined) {
    console.log(`no presentation: ${walletError || "nobody answered in time"}`);
    return false;
  }
  const harmless = [PresentationCheckOutcome.PASSED, PresentationCheckOutcome.SKIPPED];
  for (const check of report.checks.filter(({ outcome }) => !harmless.includes(outcome))) {
    console.log(`objection: ${check.code} at ${check.path}: ${check.detail}`);
  }
  for (const { credential } of report.credentials) {
    const subject = credential?.["credentialSubject"] as { displayName?: string } | undefined;
    console.log(`accepted: ${subject?.displayName}`);
  }
  return report.accepted;
}

const folder = options.dir ?? "var";
const client = new GatewayClient({
  target: options.target ?? "localhost:50051",
  mtlsTarget: options["mtls-target"] ?? "localhost:50052",
  tls: {
    ca: join(folder, "ca.pem"),
    certificate: join(folder, "verifier.pem"),
    privateKey: join(folder, "verifier-key.pem"),
  },
});
try {
  process.exitCode = tell(await ask(client)) ? 0 : 2;
} catch (error) {
  if (!(error instanceof CountersignError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
} finally {
  client.close();
}

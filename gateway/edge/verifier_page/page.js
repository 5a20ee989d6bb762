// Asks for a request, shows its QR code, and follows its state until it is final. Everything that comes from
// a wallet is written as text.

const find = (id) => document.getElementById(id);
const form = document.querySelector("form");
const definition = form.elements.definition;
const STATES = ["created", "fetched", "submitted"];
const WORDS = { verified: "Accepted", refused: "Refused", expired: "Expired" };
const EXAMPLE = {
  id: "employee-of-a-department",
  input_descriptors: [
    {
      id: "employee",
      schema: [{ uri: "VerifiedEmployee" }],
      constraints: { fields: [{ path: ["$.vc.credentialSubject.jobTitle"], filter: { type: "string" } }] },
    },
  ],
};
let current = null; // The request that is shown; a new one ends the watch of the one before.

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

const ask = async (path, options) => {
  const response = await fetch(path, { ...options, credentials: "same-origin" });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error_description ?? `The gateway answered ${response.status}.`);
  return body;
};

// A long-form DID has a thousand characters; the whole of it is in the tooltip.
const short = (text) => (text.length > 80 ? `${text.slice(0, 56)}…${text.slice(-8)}` : text);

const pairs = (entries) =>
  element("dl", {}, ...entries.flatMap(([name, value]) => {
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    return [element("dt", { textContent: name }), element("dd", { textContent: short(text), title: text })];
  }));

const showCredential = (credential) =>
  element("article", { className: "credential" },
    element("h3", { textContent: credential.types.at(-1) }),
    pairs([
      ...Object.entries(credential.subject_claims),
      ["Issuer", credential.issuer],
      ["Linked domain", credential.linked_origin ?? "not checked"],
      ["Status", credential.state ?? "not established"],
    ]));

const showCheck = (check) => {
  const detail = element("td", { textContent: check.detail });
  const reason = [check.reason, check.advisory ? "does not decide" : ""].filter(Boolean).join(" · ");
  if (reason) detail.append(element("span", { className: "reason", textContent: reason }));
  return element("tr", { className: check.outcome },
    element("td", {}, element("span", { className: `outcome ${check.outcome}`, textContent: check.outcome })),
    element("td", {}, element("code", { className: "code", textContent: check.code })),
    detail,
    element("td", {}, element("code", { textContent: check.path })),
    element("td", { className: "clause", textContent: check.clause }));
};

const showReport = (request) => {
  const { result } = request;
  find("report").hidden = false;
  find("report").className = `card wide ${request.state}`;
  find("verdict").textContent = WORDS[request.state];
  if (!result) {
    find("summary").textContent = `The wallet declined: ${request.wallet_error}.`;
    find("checks").replaceChildren();
    return;
  }
  const count = (outcome) => result.checks.filter((check) => check.outcome === outcome).length;
  find("summary").textContent = ["passed", "failed", "unknown", "skipped"]
    .map((outcome) => `${count(outcome)} ${outcome}`).join(", ") + (result.holder ? `. Presented by ${short(result.holder)}` : ".");
  find("credentials").replaceChildren(...result.credentials.map(showCredential));
  find("checks").replaceChildren(...result.checks.map(showCheck));
  filter();
};

const filter = () => {
  for (const row of find("checks").rows) {
    row.hidden = find("problems").checked && ["passed", "skipped"].includes(row.className);
  }
};

const show = (request) => {
  const final = !STATES.includes(request.state);
  const at = final ? STATES.length : STATES.indexOf(request.state);
  [...find("life").children].forEach((item, index) => {
    item.className = index < at ? "past" : index === at ? "now" : "";
  });
  find("life").lastElementChild.textContent = WORDS[request.state] ?? "Done";
  find("request").classList.toggle("over", final);
  find("request").dataset.state = request.state;
  if (request.result || request.wallet_error) showReport(request);
};

const tick = () => {
  if (!current || !STATES.includes(current.state)) {
    find("state").textContent = "";
    return;
  }
  const left = Math.max(0, Math.round(current.expire_time - Date.now() / 1000));
  const minutes = Math.floor(left / 60);
  find("state").textContent = `Can be answered for ${minutes}:${String(left % 60).padStart(2, "0")}`;
};

const watch = async (request) => {
  current = request;
  while (current.id === request.id) {
    show(current);
    tick();
    if (!STATES.includes(current.state)) return;
    try {
      const next = await ask(`/demo/verifier/requests/${request.id}?known=${current.state}`);
      if (current.id === request.id) current = next;
    } catch (error) {
      find("state").textContent = error.message;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
};

form.addEventListener("change", () => {
  definition.hidden = form.elements.kind.value !== "definition";
  if (!definition.value) definition.value = JSON.stringify(EXAMPLE, null, 2);
});
find("problems").addEventListener("change", filter);
find("copy").addEventListener("click", () => navigator.clipboard.writeText(current.authorization_request_uri));
setInterval(tick, 1000);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const error = form.querySelector(".error");
  error.hidden = true;
  button.disabled = true;
  try {
    const wanted = { verifier: form.elements.verifier.value };
    if (form.elements.kind.value === "definition") wanted.definition = definition.value;
    const request = await ask("/demo/verifier/requests", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(wanted),
    });
    find("report").hidden = true;
    find("credentials").replaceChildren();
    find("qr").src = `/presentations/requests/${request.id}/qr.svg`;
    find("link").href = request.authorization_request_uri;
    find("request").hidden = false;
    watch(request);
  } catch (failure) {
    error.textContent = failure.message;
    error.hidden = false;
  } finally {
    button.disabled = false;
  }
});

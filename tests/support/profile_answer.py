"""The answer of the profile's test vectors, as it is published or signed anew with one thing changed.

    answer = ProfileAnswer()
    answer.vp["nonce"] = "another"
    result = await answer.verify()

SOURCE: tests/vectors/jwt_vc_profile_response.json, with the private keys that the profile publishes.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway.dids import DidResolver, IonPolicy, default_methods
from gateway.fetching import GuardedClient
from gateway.jose import base64url
from gateway.presentations.checks import Outcome
from gateway.presentations.definitions import definition_of
from gateway.presentations.issuer_checks import IssuerChecks
from gateway.presentations.linked_domains import LinkedDomains
from gateway.presentations.result import VerificationResult
from gateway.presentations.status import OnUnknown, StatusPolicy
from gateway.presentations.status_lists import StatusLists
from gateway.presentations.verification import PresentationVerifier, VerificationInput
from gateway.presentations.verifier import Display, Policy, Verifier
from signers import Algorithm
from tests.support.dids import NoDns, TestSigner, jwt

VECTOR: Final = json.loads(
    (Path(__file__).parent.parent / "vectors" / "jwt_vc_profile_response.json").read_text()
)
DIDS: Final[Mapping[str, str]] = {name: each["did"] for name, each in VECTOR["keys"].items()}
AT: Final = 1_674_772_068
"""Five seconds after the vectors were made."""
POLICY: Final = Policy(
    trusted_issuers=frozenset({DIDS["issuer"]}),
    require_assertion_method=False,
    status=StatusPolicy(on_unknown=OnUnknown.ACCEPT),
)
"""What accepts the vectors: their keys stand under authentication alone, and their list is nowhere."""


def decoded(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload of *token*."""
    header, payload, _ = token.split(".")
    return json.loads(base64url.decode(header)), json.loads(base64url.decode(payload))


def signer(name: str) -> TestSigner:
    """The published key of *name*: verifier, holder or issuer."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(base64url.decode(VECTOR["keys"][name]["d"]))
    return TestSigner(Algorithm.EDDSA, key)


REQUEST: Final = decoded(VECTOR["request"])[1]
DEFINITION: Final = REQUEST["claims"]["vp_token"]["presentation_definition"]
ID_HEADER, ID_CLAIMS = decoded(VECTOR["id_token"])
VP_HEADER, VP_CLAIMS = decoded(VECTOR["vp_token"])
VC_HEADER, VC_CLAIMS = decoded(VP_CLAIMS["vp"]["verifiableCredential"][0])


@dataclass
class ProfileAnswer:
    """The published answer, open to changes. `verify` signs what was changed with the published keys.

    - `raw`: texts that take the place of ``id_token``, ``vp_token`` or ``credential``.
    - `signers`: who signs each of ``id``, ``vp`` and ``vc``.
    """

    id_header: dict[str, Any] = field(default_factory=partial(copy.deepcopy, ID_HEADER))
    id: dict[str, Any] = field(default_factory=partial(copy.deepcopy, ID_CLAIMS))
    vp_header: dict[str, Any] = field(default_factory=partial(copy.deepcopy, VP_HEADER))
    vp: dict[str, Any] = field(default_factory=partial(copy.deepcopy, VP_CLAIMS))
    vc_header: dict[str, Any] = field(default_factory=partial(copy.deepcopy, VC_HEADER))
    vc: dict[str, Any] = field(default_factory=partial(copy.deepcopy, VC_CLAIMS))
    definition: dict[str, Any] = field(default_factory=partial(copy.deepcopy, DEFINITION))
    nonce: str = REQUEST["nonce"]
    policy: Policy = POLICY
    raw: dict[str, str] = field(default_factory=dict)
    signers: dict[str, TestSigner] = field(
        default_factory=lambda: {"id": signer("holder"), "vp": signer("holder"), "vc": signer("issuer")}
    )
    client: GuardedClient = field(default_factory=lambda: GuardedClient(NoDns()))
    non_canonical: bool = True
    at_time: int | None = AT

    @property
    def submission(self) -> dict[str, Any]:
        """The submission inside the ID token."""
        submission: dict[str, Any] = self.id["_vp_token"]["presentation_submission"]
        return submission

    def change_policy(self, **changes: Any) -> None:
        """Change fields of the policy."""
        self.policy = replace(self.policy, **changes)

    def credential(self) -> str:
        """The credential, signed as it is now."""
        return self.raw.get("credential") or jwt(self.signers["vc"], self.vc_header, self.vc)

    def vp_token(self) -> str:
        """The presentation, signed as it is now, with the credential in it."""
        inner = self.vp.get("vp")
        if (
            isinstance(inner, dict)
            and inner.get("verifiableCredential") == VP_CLAIMS["vp"]["verifiableCredential"]
        ):
            inner["verifiableCredential"] = [self.credential()]
        return self.raw.get("vp_token") or jwt(self.signers["vp"], self.vp_header, self.vp)

    def id_token(self) -> str:
        """The ID token, signed as it is now."""
        return self.raw.get("id_token") or jwt(self.signers["id"], self.id_header, self.id)

    def asked(self) -> VerificationInput:
        """What is to be verified."""
        return VerificationInput(
            verifier=Verifier("employees", DIDS["verifier"], self.policy, Display("Verifier")),
            definition=definition_of(json.dumps(self.definition)),
            nonce=self.nonce,
            id_token=self.id_token(),
            vp_token=self.vp_token(),
            at_time=self.at_time,
        )

    def verifier(self) -> PresentationVerifier:
        """The use case, with nothing to ask but *client*."""
        ion = IonPolicy(unsafe_non_canonical_ion=self.non_canonical)
        resolver = DidResolver(default_methods(self.client, ion_policy=ion))
        issuers = IssuerChecks(StatusLists(self.client, resolver), LinkedDomains(self.client))
        return PresentationVerifier(resolver, issuers)

    async def verify(self) -> VerificationResult:
        """The report."""
        return await self.verifier().verify(self.asked())


def refusals(result: VerificationResult) -> set[tuple[str, str]]:
    """The (code, reason) of the lines that decide and do not hold."""
    return {
        (check.code, check.reason)
        for check in result.checks
        if not check.advisory and check.outcome in (Outcome.FAILED, Outcome.UNKNOWN)
    }

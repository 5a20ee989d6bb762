"""A Domain Linkage Credential in its JWT form: the proof that the owner of a DID controls an origin.

SOURCE of the rules: Well Known DID Configuration, DIF, approved draft of 2021-01 (identity.foundation/
.well-known/resources/did-configuration). The header holds alg and kid alone, and no typ; the payload holds
exp, iss, nbf, sub and vc alone; and vc repeats issuer and dates, other than in a credential of the profile.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.dids import DidDocument, DidError, DidFault, Relationship, parse_did_jws, verify_did_jws
from gateway.dids.did_url import MAX_DID
from gateway.jose import Claims, CompactJws, JoseError, JoseFault
from gateway.presentations.linkage_errors import LinkageError, LinkageFault
from gateway.presentations.origins import Origin, parse_origin

CREDENTIAL_CONTEXT: Final = "https://www.w3.org/2018/credentials/v1"
CONFIGURATION_CONTEXT: Final = "https://identity.foundation/.well-known/did-configuration/v1"
CONFIGURATION_CONTEXTS: Final = frozenset(
    {
        CONFIGURATION_CONTEXT,
        # Earlier names of the same context, still published.
        "https://identity.foundation/.well-known/contexts/did-configuration-v0.0.jsonld",
        "https://identity.foundation/.well-known/contexts/did-configuration-v0.2.jsonld",
    }
)
CREDENTIAL_TYPES: Final = ("VerifiableCredential", "DomainLinkageCredential")
HEADER_PARAMETERS: Final = frozenset({"alg", "kid"})
CLAIMS: Final = frozenset({"exp", "iss", "nbf", "sub", "vc"})

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")
_ASSERTION: Final = frozenset({Relationship.ASSERTION_METHOD})


@dataclass(frozen=True, slots=True)
class DomainLinkageCredential:
    """A Domain Linkage Credential as parsed, with nothing of it verified.

    *iss*, *sub*, *nbf* and *exp* are the JWT's claims; the rest is the credential inside, *issued* and
    *expires* in whole seconds since the epoch.
    """

    jws: CompactJws
    iss: str
    sub: str
    nbf: int
    exp: int
    issuer: str
    subject: str
    origin: Origin
    issued: int
    expires: int


@dataclass(frozen=True, slots=True)
class DomainLinkage:
    """A verified link: *did* controls *origin*, says the key *method_id* until *expires*.

    *not_before* and *expires* are seconds since the epoch.
    """

    did: str
    origin: Origin
    method_id: str
    not_before: int
    expires: int


def issuer_of(token: str) -> str:
    """The DID that *token* claims to come from, not verified. Raises `LinkageError`."""
    try:
        return Claims.parse(parse_did_jws(token).payload).string("iss", max_length=MAX_DID)
    except JoseError as error:
        raise _malformed(error) from error


def parse_domain_linkage_credential(token: str) -> DomainLinkageCredential:
    """Parse *token*, at most 32 KB, and check its form, but neither who made it nor when.

    Raises `LinkageError`.
    """
    try:
        jws = parse_did_jws(token)
        claims = Claims.parse(jws.payload)
        if jws.header.names != HEADER_PARAMETERS:
            raise LinkageError(LinkageFault.HEADER_REFUSED, "the header is not exactly alg and kid")
        if claims.names() != CLAIMS:
            raise LinkageError(LinkageFault.CLAIMS_REFUSED, f"the claims are not exactly {sorted(CLAIMS)}")
        return _credential(jws, claims, claims.nested("vc"))
    except JoseError as error:
        raise _malformed(error) from error


def verify_domain_linkage_credential(
    token: str, document: DidDocument, origin: Origin, *, now: int, leeway: int = 60
) -> DomainLinkage:
    """Verify *token* as the link from *document*'s DID to *origin*.

    *now* is in seconds since the epoch, *leeway* in seconds of clock difference. The key must stand in
    *document* under assertionMethod. Raises `LinkageError`.
    """
    credential = parse_domain_linkage_credential(token)
    did = document.id.text
    if credential.iss != did or credential.issuer != did:
        raise LinkageError(LinkageFault.ISSUER_MISMATCH, "iss or issuer is not the DID", member="iss")
    if credential.sub != did or credential.subject != did:
        raise LinkageError(LinkageFault.SUBJECT_MISMATCH, "sub or credentialSubject.id is not the DID")
    if credential.origin != origin:
        raise LinkageError(LinkageFault.ORIGIN_MISMATCH, "the credential is for another origin")
    if (credential.issued, credential.expires) != (credential.nbf, credential.exp):
        raise LinkageError(LinkageFault.DATES_MISMATCH, "the dates of vc are not nbf and exp")
    method_id = _verify_signature(credential.jws, document)
    if now + leeway < credential.nbf:
        raise LinkageError(LinkageFault.NOT_YET_VALID, "the credential is not valid yet", member="nbf")
    if now - leeway >= credential.exp:
        raise LinkageError(LinkageFault.EXPIRED, "the credential has expired", member="exp")
    return DomainLinkage(did, origin, method_id, credential.nbf, credential.exp)


def _credential(jws: CompactJws, claims: Claims, vc: Claims) -> DomainLinkageCredential:
    _check_form(vc)
    subject = vc.nested("credentialSubject")
    return DomainLinkageCredential(
        jws=jws,
        iss=claims.string("iss", max_length=MAX_DID),
        sub=claims.string("sub", max_length=MAX_DID),
        nbf=claims.numeric_date("nbf"),
        exp=claims.numeric_date("exp"),
        issuer=vc.string("issuer", max_length=MAX_DID),
        subject=subject.string("id", max_length=MAX_DID),
        origin=parse_origin(subject.string("origin")),
        issued=_timestamp(vc.string("issuanceDate"), "issuanceDate"),
        expires=_timestamp(vc.string("expirationDate"), "expirationDate"),
    )


def _check_form(vc: Claims) -> None:
    if "id" in vc:
        raise LinkageError(LinkageFault.CREDENTIAL_ID_PRESENT, "the credential has an id", member="id")
    if "proof" in vc:
        raise LinkageError(LinkageFault.CLAIMS_REFUSED, "the credential holds a proof", member="proof")
    contexts = vc.strings("@context")
    if contexts[0] != CREDENTIAL_CONTEXT or CONFIGURATION_CONTEXTS.isdisjoint(contexts[1:]):
        message = "@context lacks a required entry"
        raise LinkageError(LinkageFault.CONTEXT_MISSING, message, member="@context")
    if not set(CREDENTIAL_TYPES) <= set(vc.strings("type")):
        raise LinkageError(LinkageFault.TYPE_MISSING, "type lacks a required entry", member="type")


def _verify_signature(jws: CompactJws, document: DidDocument) -> str:
    try:
        return verify_did_jws(jws, document, any_of=_ASSERTION).method_id
    except DidError as error:
        invalid = error.fault is DidFault.SIGNATURE_INVALID
        fault = LinkageFault.SIGNATURE_INVALID if invalid else LinkageFault.KEY_REFUSED
        raise LinkageError(fault, f"the key or the signature is refused: {error.fault}") from error


def _timestamp(text: str, member: str) -> int:
    """Whole seconds since the epoch of an RFC 3339 date and time."""
    message = f"{member} is not a date and time"
    if not _DATE.fullmatch(text):
        raise LinkageError(LinkageFault.DATES_INVALID, message, member=member)
    try:
        return int(datetime.fromisoformat(text).timestamp() // 1)
    except (ValueError, OverflowError) as error:
        raise LinkageError(LinkageFault.DATES_INVALID, message, member=member) from error


def _malformed(error: JoseError) -> LinkageError:
    claim = error.code in {JoseFault.CLAIM_MISSING, JoseFault.CLAIM_INVALID}
    fault = LinkageFault.CLAIMS_REFUSED if claim else LinkageFault.MALFORMED_CREDENTIAL
    return LinkageError(fault, f"the JWT is refused: {error.code}", member=error.member)

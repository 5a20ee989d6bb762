"""Judging wire-oidc-01: the ID token of the user's OpenID provider (step-ca `wireOIDC01Validate`).

The first generation proves the account's key beside the token, so that a stolen token would serve anybody:
it is taken once. In the second the token itself names the key and the challenge.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway.enrollment.device_proof import same
from gateway.enrollment.identifiers import WireIdentity
from gateway.enrollment.model import Account, Challenge, Problem
from gateway.enrollment.ports import SingleUse
from gateway.enrollment.provisioners import WireOidc
from gateway.enrollment.transitions import Verdict
from gateway.enrollment.wire_names import Generation
from gateway.errors import AvailabilityError, Reason
from gateway.oidc.errors import ClaimMappingError, IdTokenError, ProviderError
from gateway.oidc.id_token import IdToken

logger = logging.getLogger(__name__)

TOKEN_KIND: Final = "wire_id_token"
_SKEW: Final = 60  # seconds


@dataclass(frozen=True, slots=True)
class OidcAnswer:
    """What is judged: *id_token* for *challenge*, whose URL is *url*, of *identity* and *account*.

    *key_authorization* is what the first generation sends beside the token; None where it was not sent.
    """

    id_token: str
    key_authorization: str | None
    challenge: Challenge
    url: str
    identity: WireIdentity
    account: Account


async def judge(answer: OidcAnswer, oidc: WireOidc) -> tuple[Verdict, Sequence[SingleUse]]:
    """The verdict, and what a good answer uses up.

    Raises `AvailabilityError` IDENTITY_PROVIDER_UNAVAILABLE where the provider's keys cannot be had: an
    outage is no verdict, and the challenge stays as it is.
    """
    first = answer.identity.generation is Generation.FIRST
    expected = answer.account.key_authorization(answer.challenge.token)
    if first and not same(answer.key_authorization or "", expected):
        return _refused("keyauth is not the key authorization of the challenge"), ()
    try:
        token = await oidc.tokens.verify(answer.id_token)
        mapped = oidc.mappings[answer.identity.generation].apply(token)
        compared = [
            ("name", mapped.string("name"), answer.identity.display_name),
            ("handle", mapped.string("handle"), answer.identity.handle.text),
        ]
        if not first:
            compared += [
                ("keyauth", mapped.string("keyauth"), expected),
                ("acme_aud", mapped.string("acme_aud"), answer.url),
            ]
    except ProviderError as error:
        logger.warning("The OpenID provider cannot be asked: %s", error)
        raise _outage(error) from error
    except (IdTokenError, ClaimMappingError) as error:
        member = "" if error.member is None else f" ({error.member})"
        return _refused(f"it was refused as {error.fault}{member}"), ()
    for name, value, wanted in compared:
        if not same(value, wanted):
            return _refused(f"its {name} is another one"), ()
    return _good(answer, token, single_use=first)


def _good(answer: OidcAnswer, token: IdToken, *, single_use: bool) -> tuple[Verdict, Sequence[SingleUse]]:
    evidence = {
        "issuer": token.issuer,
        "subject": token.subject,
        "name": answer.identity.display_name,
        "handle": answer.identity.handle.text,
    }
    # What is signed, without the signature: of one of ECDSA anybody makes a second that verifies as well.
    signed, _, _ = answer.id_token.rpartition(".")
    digest = hashlib.sha256(signed.encode()).hexdigest()
    use = SingleUse(TOKEN_KIND, digest, token.expire_time + _SKEW)
    return Verdict(evidence=evidence), (use,) if single_use else ()


def _refused(why: str) -> Verdict:
    return Verdict(Problem("rejectedIdentifier", f"The ID token does not show the user: {why}."))


def _outage(error: ProviderError) -> AvailabilityError:
    return AvailabilityError(
        Reason.IDENTITY_PROVIDER_UNAVAILABLE,
        "The OpenID provider cannot be asked now; answer the challenge again.",
        retry_after=None if error.retry_after is None else timedelta(seconds=error.retry_after),
        cause=error.fault.value,
    )

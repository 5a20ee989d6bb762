"""Introspection responses that prove who answered, and to whom (RFC 9701)."""

import json
from typing import Any, Final

from gateway.clock import Clock
from gateway.errors import AuthenticationError, Reason
from gateway.introspection.document import document_of
from gateway.introspection.introspect import Answer, Asker, Introspector
from gateway.keys.keyring import Keyring
from gateway.keys.model import KeyPurpose
from gateway.principal import Call
from gateway.tokens.client_authentication import ClientCredential
from signers import Algorithm

TYP: Final = "token-introspection+jwt"


class SigningIntrospector:
    """Answers as `Introspector` does, in a JWT for the asker. It has keys of its own, apart from tokens'."""

    def __init__(
        self,
        *,
        issuer: str,
        algorithm: Algorithm,
        introspector: Introspector,
        keyring: Keyring,
        clock: Clock,
    ) -> None:
        """*algorithm*: for askers that are registered without one of their own."""
        self._issuer = issuer
        self._algorithm = algorithm
        self._introspector = introspector
        self._keyring = keyring
        self._clock = clock

    async def introspect(
        self, call: Call, client_id: str | None, credential: ClientCredential | None, token: str
    ) -> tuple[Answer, str]:
        """The answer, and the compact JWS that says the same (RFC 9701 §5).

        A public client is refused with CALLER_UNAUTHENTICATED: nothing proves that it is the audience (RFC
        9701 §5). Else raises as `Introspector.introspect` does, `AvailabilityError` NO_ACTIVE_KEY,
        `SignerError`.
        """
        answer = await self._introspector.answer(call, client_id, credential, token)
        if not answer.asker.authenticated:
            raise AuthenticationError(
                Reason.CALLER_UNAUTHENTICATED,
                "A signed response is for callers that authenticate; a public client cannot.",
            )
        algorithm = answer.asker.signed_response_algorithm or self._algorithm
        key = self._keyring.signing_key(KeyPurpose.INTROSPECTION, algorithm)
        # No `sub` and no `exp` at the top, so that it can be taken for no access token (RFC 9701 §8.1).
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": _audience(call, answer.asker),
            "iat": int(self._clock()),
            "token_introspection": document_of(answer.token),
        }
        return answer, await key.sign_jws(TYP, json.dumps(claims, separators=(",", ":")).encode())


def _audience(call: Call, asker: Asker) -> str | list[str]:
    """Who asked: by client id, as clients check it, and by resource identifiers, as RFC 9701 §5 shows it."""
    names = [] if asker.client_id is None else [asker.client_id]
    names += sorted(asker.resources)
    names = names or [call.principal.name]
    return names[0] if len(names) == 1 else names

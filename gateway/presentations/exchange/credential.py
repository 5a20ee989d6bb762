"""What a wallet presented, decoded: the input of an evaluation.

The caller has decoded and verified everything in here before. An evaluation only looks up what a submission's
paths lead to, by the exact text that stood there, so nothing unverified can be reached.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias

from gateway.clock import to_datetime
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.exchange.json_path import Location, Node, Query
from gateway.presentations.exchange.work import Budget

JsonObject: TypeAlias = Mapping[str, Any]

MAX_CREDENTIALS: Final = 64  # and as many presentations, of one evaluation

# Claims that every token has: they say something about it, not about its subject.
_REGISTERED: Final = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "vct", "vct#integrity", "status"}
    | {"_sd", "_sd_alg", "id", "issuer", "type", "@context", "credentialStatus", "credentialSchema"}
    | {"issuanceDate", "expirationDate", "validFrom", "validUntil", "proof", "nonce"}
)
_MAX_NUMERIC_DATE: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, in seconds


@dataclass(frozen=True, slots=True)
class PresentedPresentation:
    """A verified envelope of credentials.

    - `encoded`: as it stood in the response: a compact JWT, or the JSON object itself.
    - `format`: its claim format designation (``jwt_vp``).
    - `payload`: the decoded JSON: a JWT's claims set.
    - `algorithm`: what signed it (``ES256K``), or its proof type; None where nothing did.
    """

    encoded: str | JsonObject = field(repr=False)
    format: str
    payload: JsonObject = field(repr=False)
    algorithm: str | None = None

    def roots(self) -> tuple[Any, ...]:
        """Where a nested path may start: the payload, and its ``vp``, where a JWT has the presentation."""
        inner = self.payload.get("vp")
        return (self.payload, inner) if isinstance(inner, dict) else (self.payload,)


@dataclass(frozen=True)  # Not slotted: the second view is made on first use.
class PresentedCredential:
    """A verified credential.

    - `encoded`, `format`, `payload`, `algorithm`: as of `PresentedPresentation`.
    - `issuer`, `subject`: identifiers as verified; `subject` is None where the credential names none.
    - `holder`: who submitted it, as its presentation was signed; None where nobody proved to.
    - `state`: as the status check found it; None where it could not be established.
    """

    encoded: str | JsonObject = field(repr=False)
    format: str
    payload: JsonObject = field(repr=False)
    issuer: str
    subject: str | None
    holder: str | None
    algorithm: str | None = None
    state: CredentialState | None = None

    @cached_property
    def data_model(self) -> JsonObject | None:
        """A JWT credential's ``vc`` with the registered claims as VCDM members (VCDM 1.1 §6.3.1).

        None for a credential that has no ``vc``.
        """
        inner = self.payload.get("vc")
        return _data_model(self.payload, inner) if isinstance(inner, dict) else None

    def first(self, query: Query, budget: Budget) -> Node | None:
        """The first node of *query* in the credential as decoded, else in its data model.

        Its location is in the data model's form, whichever of them it was found in; `subject_of` and `claims`
        speak of the same. Raises `WorkExceededError`.
        """
        node = query.first(self.payload, budget)
        if self.data_model is None:
            return node
        if node is None:
            return query.first(self.data_model, budget)
        return Node(_in_data_model(node.location), node.value)

    def schemas(self) -> frozenset[str]:
        """What names the schema of this credential: ``@context``, ``type`` and ``credentialSchema``.

        Presentation Exchange 1.0.0 does not say; implementations of the profile agree on these.
        """
        view = self.data_model or self.payload
        names = {*_texts(view.get("@context")), *_texts(view.get("type")), *_texts(view.get("vct"))}
        schemas = view.get("credentialSchema")
        for schema in schemas if isinstance(schemas, list) else [schemas]:
            names |= set(_texts(schema.get("id"))) if isinstance(schema, dict) else set()
        return frozenset(names)

    def subject_of(self, location: Location) -> str | None:
        """Whom the value at *location* (as of `first`) is about."""
        view = self.data_model or self.payload
        subjects = view.get("credentialSubject")
        if isinstance(subjects, list):
            if len(location) > 1 and location[0] == "credentialSubject" and isinstance(location[1], int):
                one = subjects[location[1]] if location[1] < len(subjects) else None
                identifier = one.get("id") if isinstance(one, dict) else None
                return identifier if isinstance(identifier, str) else None
            # Outside one subject's claims it is about all of them; that is one only where there is one.
            return self.subject if len(subjects) == 1 else None
        return self.subject

    def claims(self) -> Iterator[Location]:
        """Where the credential says something about its subject: each innermost value."""
        view = self.data_model or self.payload
        if "credentialSubject" in view:
            for location in _leaves(view["credentialSubject"], ("credentialSubject",)):
                if not (location[-1] == "id" and len(location) <= _SUBJECT_ID_LEVELS):
                    yield location
            return
        for name, value in view.items():
            if name not in _REGISTERED:
                yield from _leaves(value, (name,))


_SUBJECT_ID_LEVELS: Final = 3  # credentialSubject, an index where there are several, id.


_OUTSIDE: Final = -1  # First in the location of a claim beside ``vc``; no member is called so.


def _in_data_model(location: Location) -> Location:
    """*location* in a payload that has ``vc``, as a location in the data model."""
    if not location:
        return location
    return location[1:] if location[0] == "vc" else (_OUTSIDE, *location)


@dataclass(frozen=True, slots=True)
class Presented:
    """Everything of one response.

    *target* is the embed target, the object that the submission's paths start at: the ``vp_token`` as sent (a
    compact JWT, an object or an array of them), or, where the submission stood inside a presentation, that
    `PresentedPresentation`.
    """

    target: Any = field(repr=False)
    presentations: tuple[PresentedPresentation, ...]
    credentials: tuple[PresentedCredential, ...]


def _data_model(payload: JsonObject, inner: dict[str, Any]) -> JsonObject:
    model = dict(inner)
    issuer = payload.get("iss")
    if isinstance(issuer, str):
        model["issuer"] = (
            {**model["issuer"], "id": issuer} if isinstance(model.get("issuer"), dict) else issuer
        )
    subject = payload.get("sub")
    if isinstance(subject, str) and isinstance(model.get("credentialSubject", {}), dict):
        model["credentialSubject"] = {**model.get("credentialSubject", {}), "id": subject}
    if isinstance(payload.get("jti"), str):
        model["id"] = payload["jti"]
    for claim, member in (("nbf", "issuanceDate"), ("exp", "expirationDate")):
        seconds = payload.get(claim)
        if isinstance(seconds, int) and not isinstance(seconds, bool) and 0 <= seconds <= _MAX_NUMERIC_DATE:
            model[member] = to_datetime(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")
    return model


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]


def _leaves(value: Any, location: Location) -> Iterator[Location]:
    if isinstance(value, dict) and value:
        for name, member in value.items():
            yield from _leaves(member, (*location, name))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, (*location, index))
    else:
        yield location

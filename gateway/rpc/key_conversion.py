"""Between the wire and the rules, for keys."""

import hashlib
from typing import Final

from countersign.v1 import key_service_pb2

from gateway.keys.certificates import chain_der
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.keys.reading import KeyStatus
from signers import Algorithm

PURPOSES: Final[dict[key_service_pb2.KeyPurpose, KeyPurpose]] = {
    key_service_pb2.KEY_PURPOSE_TOKENS: KeyPurpose.TOKENS,
    key_service_pb2.KEY_PURPOSE_INTROSPECTION: KeyPurpose.INTROSPECTION,
    key_service_pb2.KEY_PURPOSE_CERTIFICATES: KeyPurpose.CERTIFICATES,
    key_service_pb2.KEY_PURPOSE_PRESENTATION_REQUESTS: KeyPurpose.PRESENTATION_REQUESTS,
    key_service_pb2.KEY_PURPOSE_LINKED_DOMAINS: KeyPurpose.LINKED_DOMAINS,
    key_service_pb2.KEY_PURPOSE_STATUS_LISTS: KeyPurpose.STATUS_LISTS,
    key_service_pb2.KEY_PURPOSE_CLIENT_ACCESS_TOKENS: KeyPurpose.CLIENT_ACCESS_TOKENS,
    key_service_pb2.KEY_PURPOSE_OCSP_RESPONSES: KeyPurpose.OCSP_RESPONSES,
    key_service_pb2.KEY_PURPOSE_DELEGATION: KeyPurpose.DELEGATION,
    key_service_pb2.KEY_PURPOSE_AUDIT: KeyPurpose.AUDIT,
}
ALGORITHMS: Final[dict[key_service_pb2.SignatureAlgorithm, Algorithm]] = {
    key_service_pb2.SIGNATURE_ALGORITHM_EDDSA: Algorithm.EDDSA,
    key_service_pb2.SIGNATURE_ALGORITHM_ES256: Algorithm.ES256,
    key_service_pb2.SIGNATURE_ALGORITHM_ES384: Algorithm.ES384,
    key_service_pb2.SIGNATURE_ALGORITHM_ES512: Algorithm.ES512,
    key_service_pb2.SIGNATURE_ALGORITHM_ES256K: Algorithm.ES256K,
    key_service_pb2.SIGNATURE_ALGORITHM_RS256: Algorithm.RS256,
    key_service_pb2.SIGNATURE_ALGORITHM_PS256: Algorithm.PS256,
}
STATES: Final[dict[key_service_pb2.KeyState, KeyState]] = {
    key_service_pb2.KEY_STATE_PREPARED: KeyState.PREPARED,
    key_service_pb2.KEY_STATE_ACTIVE: KeyState.ACTIVE,
    key_service_pb2.KEY_STATE_RETIRING: KeyState.RETIRING,
    key_service_pb2.KEY_STATE_RETIRED: KeyState.RETIRED,
    key_service_pb2.KEY_STATE_DISABLED: KeyState.DISABLED,
}
OUTCOMES: Final[dict[str | None, key_service_pb2.KeyCheckOutcome]] = {
    None: key_service_pb2.KEY_CHECK_OUTCOME_VERIFIED,
    "KeyUriError": key_service_pb2.KEY_CHECK_OUTCOME_UNUSABLE,
    "KeyNotFoundError": key_service_pb2.KEY_CHECK_OUTCOME_NOT_FOUND,
    "KeyAmbiguousError": key_service_pb2.KEY_CHECK_OUTCOME_AMBIGUOUS,
    "KeyUnusableError": key_service_pb2.KEY_CHECK_OUTCOME_UNUSABLE,
    "KeyMismatchError": key_service_pb2.KEY_CHECK_OUTCOME_MISMATCH,
    "PinError": key_service_pb2.KEY_CHECK_OUTCOME_PIN_REFUSED,
    "SignerUnavailableError": key_service_pb2.KEY_CHECK_OUTCOME_UNAVAILABLE,
    "AccessDeniedError": key_service_pb2.KEY_CHECK_OUTCOME_UNUSABLE,
    "SignerBusyError": key_service_pb2.KEY_CHECK_OUTCOME_BUSY,
    "SignerThrottledError": key_service_pb2.KEY_CHECK_OUTCOME_BUSY,
    "SignerTimeoutError": key_service_pb2.KEY_CHECK_OUTCOME_TIMED_OUT,
    "SignatureInvalidError": key_service_pb2.KEY_CHECK_OUTCOME_SIGNATURE_INVALID,
    "SignerError": key_service_pb2.KEY_CHECK_OUTCOME_UNAVAILABLE,
}
_PURPOSE_MESSAGES: Final = {purpose: message for message, purpose in PURPOSES.items()}
_ALGORITHM_MESSAGES: Final = {algorithm: message for message, algorithm in ALGORITHMS.items()}
_STATE_MESSAGES: Final = {state: message for message, state in STATES.items()}


def key_message(status: KeyStatus) -> key_service_pb2.Key:
    """A key on the wire, with why it could not be opened where it could not."""
    message = record_message(status.record)
    message.last_error = status.fault or ""
    return message


def record_message(record: KeyRecord) -> key_service_pb2.Key:
    """A key on the wire."""
    message = key_service_pb2.Key(
        name=f"keys/{record.key_id}",
        purpose=_PURPOSE_MESSAGES[record.purpose],
        algorithm=_ALGORITHM_MESSAGES[record.algorithm],
        state=_STATE_MESSAGES[record.state],
        uri=record.redacted_uri,
        backend=record.uri.partition(":")[0],
        public_key_der=record.public_key_der,
        public_key_sha256=hashlib.sha256(record.public_key_der).digest(),
        disable_reason=record.disable_reason,
        etag=str(record.revision),
        certificates_der=chain_der(record.chain_pem),
        issuer="" if record.issuer_key_id is None else f"keys/{record.issuer_key_id}",
    )
    times = {
        "create_time": record.create_time,
        "activate_time": record.activate_time,
        "retire_time": record.retire_time,
        "disable_time": record.disable_time,
        "sign_until_time": record.sign_until,
    }
    for name, seconds in times.items():
        if seconds is not None:
            getattr(message, name).FromMicroseconds(round(seconds * 1_000_000))
    return message

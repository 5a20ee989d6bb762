"""Everything `gateway.dids` may raise: one root, and a stable code for each rule.

    DidError    fault (a `DidFault`), outcome (a `DidOutcome`), clause (of the specification), member

A fault names the exact rule that was broken; its outcome is the coarse answer that a caller switches on and
that DID Core §7.1.2 knows in other words. Messages carry names and sizes, never a document or a key.
"""

from enum import StrEnum
from typing import Final


class DidOutcome(StrEnum):
    """What a fault means for the one who wanted to use the DID."""

    MALFORMED = "did_malformed"
    METHOD_UNSUPPORTED = "did_method_unsupported"
    UNRESOLVABLE = "did_unresolvable"
    DEACTIVATED = "did_deactivated"
    UNAVAILABLE = "did_unavailable"  # Somebody could not be asked now; the DID itself may be fine.
    KEY_REFUSED = "did_key_refused"


class DidFault(StrEnum):
    """A stable code: the rule that refused the input."""

    # The identifier
    INVALID_DID = "invalid_did"
    INVALID_DID_URL = "invalid_did_url"
    METHOD_NOT_SUPPORTED = "method_not_supported"
    # did:key and did:jwk
    INVALID_MULTIBASE = "invalid_multibase"
    KEY_TYPE_UNSUPPORTED = "key_type_unsupported"
    INVALID_KEY = "invalid_key"
    # Documents
    INVALID_DOCUMENT = "invalid_document"
    DOCUMENT_TOO_LARGE = "document_too_large"
    ID_MISMATCH = "id_mismatch"
    DUPLICATE_ID = "duplicate_id"
    DEACTIVATED = "deactivated"
    # Asking others
    NOT_FOUND = "not_found"
    TARGET_REFUSED = "target_refused"
    MEDIA_TYPE_REFUSED = "media_type_refused"
    ANSWER_REFUSED = "answer_refused"
    UNREACHABLE = "unreachable"
    BUSY = "busy"
    CLOSED = "closed"
    # The initial state of a long-form did:ion
    ION_STATE_MALFORMED = "ion_state_malformed"
    ION_NOT_CANONICAL = "ion_not_canonical"
    ION_SUFFIX_MISMATCH = "ion_suffix_mismatch"
    ION_DELTA_HASH_MISMATCH = "ion_delta_hash_mismatch"
    ION_DELTA_TOO_LARGE = "ion_delta_too_large"
    ION_INVALID_MULTIHASH = "ion_invalid_multihash"
    ION_INVALID_SUFFIX_DATA = "ion_invalid_suffix_data"
    ION_INVALID_DELTA = "ion_invalid_delta"
    ION_INVALID_PATCH = "ion_invalid_patch"
    ION_INVALID_KEY = "ion_invalid_key"
    ION_INVALID_SERVICE = "ion_invalid_service"
    ION_NODE_REQUIRED = "ion_node_required"
    # The key that a signature needs
    INVALID_KID = "invalid_kid"
    KEY_NOT_FOUND = "key_not_found"
    KEY_AMBIGUOUS = "key_ambiguous"
    KEY_NOT_AUTHORIZED = "key_not_authorized"
    KEY_UNUSABLE = "key_unusable"
    ALGORITHM_REFUSED = "algorithm_refused"
    ALGORITHM_MISMATCH = "algorithm_mismatch"
    SIGNATURE_INVALID = "signature_invalid"


_MALFORMED = DidOutcome.MALFORMED
_UNRESOLVABLE = DidOutcome.UNRESOLVABLE
_UNAVAILABLE = DidOutcome.UNAVAILABLE
_KEY_REFUSED = DidOutcome.KEY_REFUSED

_ROWS: Final[dict[DidFault, tuple[DidOutcome, str]]] = {
    DidFault.INVALID_DID: (_MALFORMED, "DID Core §3.1"),
    DidFault.INVALID_DID_URL: (_MALFORMED, "DID Core §3.2"),
    DidFault.METHOD_NOT_SUPPORTED: (DidOutcome.METHOD_UNSUPPORTED, "DID Core §7.1.2 methodNotSupported"),
    DidFault.INVALID_MULTIBASE: (_UNRESOLVABLE, "did:key, Format"),
    DidFault.KEY_TYPE_UNSUPPORTED: (_UNRESOLVABLE, "did:key, Format"),
    DidFault.INVALID_KEY: (_UNRESOLVABLE, "RFC 7517 §4"),
    DidFault.INVALID_DOCUMENT: (_UNRESOLVABLE, "DID Core §5"),
    DidFault.DOCUMENT_TOO_LARGE: (_UNRESOLVABLE, "DID Core §6"),
    DidFault.ID_MISMATCH: (_UNRESOLVABLE, "DID Core §5.1.1"),
    DidFault.DUPLICATE_ID: (_UNRESOLVABLE, "DID Core §5.2"),
    DidFault.DEACTIVATED: (DidOutcome.DEACTIVATED, "DID Core §7.1.3 deactivated"),
    DidFault.NOT_FOUND: (_UNRESOLVABLE, "DID Core §7.1.2 notFound"),
    DidFault.TARGET_REFUSED: (_UNRESOLVABLE, "did:web, Read (Resolve)"),
    DidFault.MEDIA_TYPE_REFUSED: (_UNRESOLVABLE, "DID Core §6"),
    DidFault.ANSWER_REFUSED: (_UNRESOLVABLE, "DID Core §7.1"),
    DidFault.UNREACHABLE: (_UNAVAILABLE, "DID Core §7.1"),
    DidFault.BUSY: (_UNAVAILABLE, "DID Core §7.1"),
    DidFault.CLOSED: (_UNAVAILABLE, "DID Core §7.1"),
    DidFault.ION_STATE_MALFORMED: (_UNRESOLVABLE, "Sidetree, Long-Form DID URIs"),
    DidFault.ION_NOT_CANONICAL: (_UNRESOLVABLE, "Sidetree, Long-Form DID URIs; RFC 8785 §3"),
    DidFault.ION_SUFFIX_MISMATCH: (_UNRESOLVABLE, "Sidetree, Create: DID Unique Suffix"),
    DidFault.ION_DELTA_HASH_MISMATCH: (_UNRESOLVABLE, "Sidetree, Create"),
    DidFault.ION_DELTA_TOO_LARGE: (_UNRESOLVABLE, "Sidetree, Default Parameters: MAX_DELTA_SIZE"),
    DidFault.ION_INVALID_MULTIHASH: (_UNRESOLVABLE, "Sidetree, Hashing Process"),
    DidFault.ION_INVALID_SUFFIX_DATA: (_UNRESOLVABLE, "Sidetree, Create"),
    DidFault.ION_INVALID_DELTA: (_UNRESOLVABLE, "Sidetree, Create"),
    DidFault.ION_INVALID_PATCH: (_UNRESOLVABLE, "Sidetree, Standard Patch Actions"),
    DidFault.ION_INVALID_KEY: (_UNRESOLVABLE, "Sidetree, Standard Patch Actions: add-public-keys"),
    DidFault.ION_INVALID_SERVICE: (_UNRESOLVABLE, "Sidetree, Standard Patch Actions: add-services"),
    DidFault.ION_NODE_REQUIRED: (_UNRESOLVABLE, "Sidetree, Long-Form DID URIs"),
    DidFault.INVALID_KID: (_KEY_REFUSED, "RFC 7515 §4.1.4, DID Core §3.2"),
    DidFault.KEY_NOT_FOUND: (_KEY_REFUSED, "DID Core §5.2"),
    DidFault.KEY_AMBIGUOUS: (_KEY_REFUSED, "DID Core §5.3"),
    DidFault.KEY_NOT_AUTHORIZED: (_KEY_REFUSED, "DID Core §5.3"),
    DidFault.KEY_UNUSABLE: (_KEY_REFUSED, "DID Core §5.2.1"),
    DidFault.ALGORITHM_REFUSED: (_KEY_REFUSED, "JWT VC Presentation Profile, Cryptographic Signature"),
    DidFault.ALGORITHM_MISMATCH: (_KEY_REFUSED, "RFC 8725 §3.1"),
    DidFault.SIGNATURE_INVALID: (_KEY_REFUSED, "RFC 7515 §5.2"),
}


class DidError(Exception):
    """Root of the package.

    *fault* is stable; *member* names the member, parameter or identifier part concerned, where there is one.
    """

    def __init__(self, fault: DidFault, message: str, *, member: str | None = None) -> None:
        super().__init__(f"{fault}: {message}")
        self.fault = fault
        self.message = message
        self.member = member

    @property
    def outcome(self) -> DidOutcome:
        """What the fault means for the one who wanted to use the DID."""
        return _ROWS[self.fault][0]

    @property
    def clause(self) -> str:
        """The clause that the input broke, or that asks for what could not be done."""
        return _ROWS[self.fault][1]

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later without the DID's owner changing anything."""
        return self.outcome is DidOutcome.UNAVAILABLE

    def again(self) -> "DidError":
        """A new error of the same content, caused by this one: each waiter raises one of their own."""
        copy = DidError(self.fault, self.message, member=self.member)
        copy.__cause__ = self
        return copy

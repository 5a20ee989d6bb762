"""Generating a key pair on a token, so that the private half never exists elsewhere."""

import secrets

from signers.algorithms import Algorithm
from signers.errors import KeyAmbiguousError, KeyUnusableError, KeyUriError, SignerBusyError
from signers.pkcs11 import constants as ck
from signers.pkcs11.binding import Cryptoki, MechanismCall, Template, boolean, ulong
from signers.pkcs11.module import Module
from signers.pkcs11.objects import KEY_TYPES, named
from signers.pkcs11.token import Token
from signers.uri import Pkcs11Uri

RSA_BITS = 3072
"""The size of new RSA keys: 128 bits of strength (NIST SP 800-57 part 1, table 2)."""

LOCK_SECONDS = 5.0
"""How long a second generation waits for the first."""

# CKA_EC_PARAMS: the DER of the curve's OID. SOURCE: RFC 5480 §2.1.1.1, SEC 2 §A.2, RFC 8410 §3.
EC_PARAMS = {
    "P-256": bytes.fromhex("06082a8648ce3d030107"),
    "P-384": bytes.fromhex("06052b81040022"),
    "P-521": bytes.fromhex("06052b81040023"),
    "secp256k1": bytes.fromhex("06052b8104000a"),
    "Ed25519": bytes.fromhex("06032b6570"),
}
_GENERATORS = {
    "EC": ck.CKM_EC_KEY_PAIR_GEN,
    "OKP": ck.CKM_EC_EDWARDS_KEY_PAIR_GEN,
    "RSA": ck.CKM_RSA_PKCS_KEY_PAIR_GEN,
}


def generate(module: Module, token: Token, uri: Pkcs11Uri, algorithm: Algorithm) -> None:
    """Generate *algorithm*'s key pair under the label of *uri* and its CKA_ID (random by default).

    Sensitive, not extractable, for signing alone. One at a time per module: SoftHSM up to 2.6.1 loses keys
    that are generated at the same time. The calling thread is inside the module. Raises `KeyAmbiguousError`
    where the name is taken, `KeyUriError` without a label, `SignerBusyError` or `CryptokiError`.
    """
    if uri.object is None:
        raise KeyUriError("A key to be created needs a label; add 'object=LABEL'.", key=uri.redacted)
    key_id = uri.id or secrets.token_bytes(16)
    cryptoki = module.cryptoki
    if not module.key_management.acquire(timeout=LOCK_SECONDS):
        raise SignerBusyError("Another key is being generated in this module.", key=uri.redacted)
    try:
        _require_generator(cryptoki, token, uri, algorithm)
        session = cryptoki.open_session(token.info.slot, read_write=True)
        try:
            _require_free(cryptoki, session, uri)
            common: Template = (
                (ck.CKA_TOKEN, boolean(True)),
                (ck.CKA_LABEL, uri.object.encode()),
                (ck.CKA_ID, key_id),
                (ck.CKA_KEY_TYPE, ulong(KEY_TYPES[algorithm.spec.key_type])),
            )
            private: Template = (
                *common,
                (ck.CKA_CLASS, ulong(ck.CKO_PRIVATE_KEY)),
                (ck.CKA_PRIVATE, boolean(True)),
                (ck.CKA_SENSITIVE, boolean(True)),
                (ck.CKA_EXTRACTABLE, boolean(False)),
                (ck.CKA_SIGN, boolean(True)),
            )
            public: Template = (
                *common,
                (ck.CKA_CLASS, ulong(ck.CKO_PUBLIC_KEY)),
                (ck.CKA_VERIFY, boolean(True)),
                *_parameters(algorithm),
            )
            call = MechanismCall(_GENERATORS[algorithm.spec.key_type])
            cryptoki.generate_key_pair(session, call, public, private)
        finally:
            cryptoki.close_session(session)
    finally:
        module.key_management.release()


def _require_generator(cryptoki: Cryptoki, token: Token, uri: Pkcs11Uri, algorithm: Algorithm) -> None:
    """Say before anything is tried why the token will make no such key."""
    if token.info.flags & ck.CKF_WRITE_PROTECTED:
        raise KeyUnusableError(
            "The token is write-protected; make the key with the vendor's tool and adopt it.",
            key=uri.redacted,
        )
    generator = _GENERATORS[algorithm.spec.key_type]
    if generator not in cryptoki.mechanisms(token.info.slot):
        raise KeyUnusableError(
            f"The token makes no key for {algorithm}: it has no {ck.mechanism_name(generator)}. "
            "Make it with the vendor's tool and adopt it.",
            key=uri.redacted,
        )


def _require_free(cryptoki: Cryptoki, session: int, uri: Pkcs11Uri) -> None:
    for object_class in (ck.CKO_PRIVATE_KEY, ck.CKO_PUBLIC_KEY):
        if cryptoki.find(session, ((ck.CKA_CLASS, ulong(object_class)), *named(uri)), 1):
            raise KeyAmbiguousError("A key of this name is on the token already.", key=uri.redacted)


def _parameters(algorithm: Algorithm) -> Template:
    if algorithm.spec.curve is not None:
        return ((ck.CKA_EC_PARAMS, EC_PARAMS[algorithm.spec.curve]),)
    return (
        (ck.CKA_MODULUS_BITS, ulong(RSA_BITS)),
        (ck.CKA_PUBLIC_EXPONENT, (65537).to_bytes(3, "big")),
    )

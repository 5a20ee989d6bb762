"""Certificates, CRLs and certification requests signed by any `Signer`, without hand-made ASN.1.

The library's builders call the private key synchronously, and a signer is asynchronous. So each object is
built twice: the first pass hands the to-be-signed bytes to a key that keeps them and stops, the signer signs
those bytes, and the second pass gets a key that returns that signature for those bytes and no others. The
event loop is never blocked for longer than the encoding takes.
"""

from collections.abc import Callable
from typing import NoReturn, TypeAlias, TypeVar, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from gateway.pki.issuance_errors import IssuingError, IssuingFault
from signers import Algorithm, PublicKey, Signer
from signers.jose_form import raw_to_der
from signers.verification import rsa_padding, verify

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

_Digest: TypeAlias = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
_RsaPadding: TypeAlias = padding.PSS | padding.PKCS1v15
_Signed = TypeVar("_Signed", x509.Certificate, x509.CertificateRevocationList, x509.CertificateSigningRequest)

# RFC 5480, RFC 8410, RFC 4055. secp256k1 has a signature OID, but no profile of X.509 admits the curve.
_X509_ALGORITHMS = frozenset(Algorithm) - {Algorithm.ES256K}


async def sign_certificate(builder: x509.CertificateBuilder, signer: Signer) -> x509.Certificate:
    """The certificate that *builder* describes, signed by *signer* (RFC 5280 §4.1.1.3).

    The signature is verified with the signer's public key before anything is returned. Raises `SignerError`,
    and `IssuingError` with `UNSUPPORTED_ALGORITHM`.
    """
    digest, pad = _scheme(signer.algorithm)
    return await _sign(lambda key: builder.sign(key, digest, rsa_padding=pad), signer)


async def sign_crl(
    builder: x509.CertificateRevocationListBuilder, signer: Signer
) -> x509.CertificateRevocationList:
    """The CRL that *builder* describes, signed by *signer*; raises as `sign_certificate`."""
    digest, pad = _scheme(signer.algorithm)
    return await _sign(lambda key: builder.sign(key, digest, rsa_padding=pad), signer)


async def sign_request(
    builder: x509.CertificateSigningRequestBuilder, signer: Signer
) -> x509.CertificateSigningRequest:
    """The PKCS#10 request for *signer*'s own key; raises as `sign_certificate`."""
    digest, pad = _scheme(signer.algorithm)
    return await _sign(lambda key: builder.sign(key, digest, rsa_padding=pad), signer)


async def sign_to_be_signed(tbs: bytes, signer: Signer) -> bytes:
    """The signature over *tbs* in the form of X.509: DER Ecdsa-Sig-Value for ECDSA (RFC 3279 §2.2.3).

    Verified before it is returned. Raises as `sign_certificate`.
    """
    require_x509_algorithm(signer.algorithm)
    signature = await signer.sign(tbs)
    verify(signer.public_key, signer.algorithm, tbs, signature)
    return raw_to_der(signature) if signer.algorithm.spec.ec_curve is not None else signature


def require_x509_algorithm(algorithm: Algorithm) -> None:
    """*algorithm* may sign X.509 objects. Raises `IssuingError` with `UNSUPPORTED_ALGORITHM`."""
    if algorithm not in _X509_ALGORITHMS:
        raise IssuingError(IssuingFault.UNSUPPORTED_ALGORITHM, f"{algorithm} signs no certificates")


async def _sign(build: Callable[[PrivateKey], _Signed], signer: Signer) -> _Signed:
    public_key = signer.public_key
    try:
        build(_stand_in(public_key, _capture))
    except _ToBeSigned as captured:
        tbs = captured.octets
    else:
        raise IssuingError(IssuingFault.NOT_DETERMINISTIC, "the builder asked for no signature")
    signature = await sign_to_be_signed(tbs, signer)

    def replay(message: bytes) -> bytes:
        if message != tbs:
            raise IssuingError(IssuingFault.NOT_DETERMINISTIC, "two encodings of one object differ")
        return signature

    return build(_stand_in(public_key, replay))


def _scheme(algorithm: Algorithm) -> tuple[_Digest | None, _RsaPadding | None]:
    require_x509_algorithm(algorithm)
    spec = algorithm.spec
    # The builders declare the hashes that they take, and the table of algorithms holds no others.
    digest = cast("_Digest | None", spec.hash_algorithm)
    return digest, cast("_RsaPadding", rsa_padding(algorithm)) if spec.key_type == "RSA" else None


class _ToBeSigned(Exception):  # noqa: N818 - it carries the bytes out of the first pass and is no error.
    def __init__(self, octets: bytes) -> None:
        super().__init__()
        self.octets = octets


def _capture(message: bytes) -> NoReturn:
    raise _ToBeSigned(bytes(message))


class _StandIn:
    """What the builders ask of a private key, and nothing else: no private key is near."""

    def __init__(self, public_key: PublicKey, respond: Callable[[bytes], bytes]) -> None:
        self._public_key = public_key
        self._respond = respond

    def public_key(self) -> PublicKey:
        return self._public_key

    def sign(self, message: bytes, *_scheme: object) -> bytes:
        return self._respond(message)


class _EcStandIn(_StandIn):
    @property
    def curve(self) -> ec.EllipticCurve:
        return cast("ec.EllipticCurvePublicKey", self._public_key).curve


class _Ed25519StandIn(_StandIn):
    pass


class _RsaStandIn(_StandIn):
    @property
    def key_size(self) -> int:
        return cast("rsa.RSAPublicKey", self._public_key).key_size


# The builders recognize keys by these base classes, which are abstract and admit virtual subclasses: so a new
# abstract method in a later version of the library does not break the stand-ins, which sign and nothing else.
ec.EllipticCurvePrivateKey.register(_EcStandIn)
ed25519.Ed25519PrivateKey.register(_Ed25519StandIn)
rsa.RSAPrivateKey.register(_RsaStandIn)


def _stand_in(public_key: PublicKey, respond: Callable[[bytes], bytes]) -> PrivateKey:
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return cast("PrivateKey", _EcStandIn(public_key, respond))
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        return cast("PrivateKey", _Ed25519StandIn(public_key, respond))
    return cast("PrivateKey", _RsaStandIn(public_key, respond))

"""What a device does to enroll: a key that signs requests, proofs and certification requests."""

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from jwt.algorithms import get_default_algorithms

from countersign.v1 import enrollment_service_pb2 as pb

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_DIGESTS: Mapping[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    "ES256": hashes.SHA256(),
    "ES384": hashes.SHA384(),
    "ES512": hashes.SHA512(),
}
_DISPLAY_NAME = x509.ObjectIdentifier("2.16.840.1.113730.3.1.241")
_THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


@dataclass(frozen=True)
class WireDevice:
    """A user's device as Wire names it today (``wireapp://``); *handle* is without domain."""

    client_id: str
    handle: str
    display_name: str
    domain: str
    team: str = ""

    @property
    def handle_uri(self) -> str:
        """The qualified handle."""
        return f"wireapp://%40{self.handle}@{self.domain}"

    def identifiers(self) -> list[pb.Identifier]:
        """The identifiers of an order for this device."""
        user = {"name": self.display_name, "domain": self.domain, "handle": self.handle_uri}
        device = user | {"client-id": self.client_id}
        return [
            pb.Identifier(type="wireapp-device", name=json.dumps(device)),
            pb.Identifier(type="wireapp-user", name=json.dumps(user)),
        ]


class DeviceKey:
    """A private key of a device: Ed25519, P-256, P-384 or P-521. It never leaves the process."""

    def __init__(self, private_key: PrivateKey) -> None:
        self._key = private_key
        is_edwards = isinstance(private_key, ed25519.Ed25519PrivateKey)
        self.algorithm = "EdDSA" if is_edwards else _CURVES[private_key.curve.name]  # type: ignore[union-attr]
        encoder = get_default_algorithms()[self.algorithm]
        jwk: Mapping[str, Any] = encoder.to_jwk(private_key.public_key(), as_dict=True)
        self.jwk = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
        """The public key as a JWK, its required members only."""

    @classmethod
    def generate(cls) -> "DeviceKey":
        """A fresh P-256 key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    def __repr__(self) -> str:
        """The thumbprint; nothing of the private key."""
        return f"DeviceKey({self.thumbprint})"

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 SHA-256 thumbprint, base64url."""
        digest = hashes.Hash(hashes.SHA256())
        digest.update(json.dumps(self.jwk, separators=(",", ":"), sort_keys=True).encode())
        return _base64url(digest.finalize())

    def key_authorization(self, token: str) -> str:
        """RFC 8555 §8.1."""
        return f"{token}.{self.thumbprint}"

    def signed_request(self, payload: Mapping[str, Any], *, url: str, nonce: str) -> pb.SignedRequest:
        """A request that this key signs (RFC 8555 §6.2); over gRPC *url* is the method's full name."""
        header = {"jwk": self.jwk, "nonce": nonce, "url": url}
        return self._flattened(payload, header)

    def dpop_proof(
        self, device: WireDevice, *, target: str, nonce: str, challenge: str, audience: str, now: int
    ) -> str:
        """The proof for MintClientAccessToken. *now*: seconds since the epoch; it lives five minutes."""
        claims = {
            "iat": now - 3600,
            "nbf": now - 3600,
            "exp": now + 290,
            "sub": device.client_id,
            "jti": str(uuid.uuid4()),
            "nonce": nonce,
            "htm": "POST",
            "htu": target,
            "chal": challenge,
            "handle": device.handle_uri,
            "name": device.display_name,
            "aud": audience,
        } | ({"team": device.team} if device.team else {})
        return jwt.encode(
            claims, self._key, algorithm=self.algorithm, headers={"typ": "dpop+jwt", "jwk": self.jwk}
        )

    def wire_request(self, device: WireDevice) -> bytes:
        """The DER of the certification request of *device* for this key."""
        subject = [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, device.domain),
            x509.NameAttribute(_DISPLAY_NAME, device.display_name),
        ]
        uris = [x509.UniformResourceIdentifier(uri) for uri in (device.client_id, device.handle_uri)]
        builder = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name(subject))
            .add_extension(x509.SubjectAlternativeName(uris), critical=False)
        )
        return builder.sign(self._key, _DIGESTS.get(self.algorithm)).public_bytes(Encoding.DER)

    def _flattened(self, payload: Mapping[str, Any], header: Mapping[str, Any]) -> pb.SignedRequest:
        text = json.dumps(payload, separators=(",", ":")).encode()
        compact = jwt.api_jws.encode(text, self._key, algorithm=self.algorithm, headers=dict(header))
        protected, body, signature = compact.split(".")
        return pb.SignedRequest(protected=protected, payload=body, signature=signature)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

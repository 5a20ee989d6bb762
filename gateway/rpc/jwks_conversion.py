"""A JWK Set as typed messages. The JSON is the source, so the two forms cannot disagree."""

import json
from collections.abc import Mapping

from countersign.v1 import token_service_pb2

from gateway.jose import base64url


def jwks_messages(jwks_json: bytes) -> list[token_service_pb2.JsonWebKey]:
    """The keys of *jwks_json*, which the keyring made."""
    return [_message(members) for members in json.loads(jwks_json)["keys"]]


def _message(members: Mapping[str, str]) -> token_service_pb2.JsonWebKey:
    message = token_service_pb2.JsonWebKey(
        kid=members["kid"], alg=members.get("alg", ""), use=members.get("use", "")
    )
    match members["kty"]:
        case "EC":
            message.ec.crv = members["crv"]
            message.ec.x = base64url.decode(members["x"])
            message.ec.y = base64url.decode(members["y"])
        case "OKP":
            message.okp.crv = members["crv"]
            message.okp.x = base64url.decode(members["x"])
        case "RSA":
            message.rsa.n = base64url.decode(members["n"])
            message.rsa.e = base64url.decode(members["e"])
    return message

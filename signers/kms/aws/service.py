"""AWS KMS as a `signers.remote.service.RemoteService`."""

import base64
from functools import partial

from signers.algorithms import Algorithm
from signers.errors import (
    KeyAmbiguousError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    SignatureInvalidError,
)
from signers.kms.aws.algorithms import ALGORITHMS, MAX_RAW_MESSAGE, AwsAlgorithm
from signers.kms.aws.client import AwsKmsClient
from signers.kms.aws.uri import parse_awskms_uri
from signers.kms.key import KmsKey, digest, jose_form
from signers.kms.reply import public_key_of


class AwsKmsService:
    """The keys of one region."""

    def __init__(self, client: AwsKmsClient, name: str) -> None:
        self._client = client
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def find(
        self,
        uri: str,
        algorithm: Algorithm,
        public_key_sha256: str | None,  # noqa: ARG002  # See below.
    ) -> KmsKey:
        """The key that *uri* names, by its ARN: an alias is followed once, here.

        A KMS key has one key pair for its life, so the pin has nothing to choose from.
        """
        parsed = parse_awskms_uri(uri)
        name, row = parsed.redacted, ALGORITHMS[algorithm]
        reply = await self._client.call("GetPublicKey", {"KeyId": parsed.key_id}, key=name)
        arn = reply.text("KeyId")
        if reply.text("KeyUsage") != "SIGN_VERIFY" or row.signing_algorithm not in reply.texts(
            "SigningAlgorithms"
        ):
            raise KeyUnusableError(
                f"The key does not sign with {algorithm}: its KeySpec is {reply.text('KeySpec')}, "
                f"its KeyUsage {reply.text('KeyUsage')}.",
                key=name,
            )
        public_key = public_key_of(reply.base64("PublicKey"), algorithm, key=name)
        request = partial(self._sign, arn, algorithm, row)
        return KmsKey(
            f"awskms:key-id={arn}", arn.rpartition("/")[2], parsed.pinned(arn), algorithm, public_key, request
        )

    async def create(self, uri: str, algorithm: Algorithm) -> None:
        """Create a key with the alias that *uri* names. Raises `SignerError`."""
        parsed = parse_awskms_uri(uri)
        alias, name = parsed.new_alias, parsed.redacted
        if alias is None:
            raise KeyUriError("A new key is named by an alias; write 'key-id=alias/NAME'.", key=name)
        try:
            await self._client.call("DescribeKey", {"KeyId": alias}, key=name)
        except KeyNotFoundError:
            pass
        else:
            raise KeyAmbiguousError("The alias is taken.", key=name)
        body = {"KeySpec": ALGORITHMS[algorithm].key_spec, "KeyUsage": "SIGN_VERIFY"}
        made = await self._client.call("CreateKey", body, key=name)
        target = made.object("KeyMetadata").text("KeyId")
        await self._client.call("CreateAlias", {"AliasName": alias, "TargetKeyId": target}, key=name)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _sign(self, arn: str, algorithm: Algorithm, row: AwsAlgorithm, message: bytes) -> bytes:
        name = f"awskms:key-id={arn}"
        if row.message_type == "RAW" and not 1 <= len(message) <= MAX_RAW_MESSAGE:
            raise KeyUnusableError(
                f"AWS KMS signs 1 to {MAX_RAW_MESSAGE} bytes with {algorithm}, not {len(message)}.",
                key=name,
            )
        content = message if row.message_type == "RAW" else digest(algorithm, message)
        body = {
            "KeyId": arn,
            "Message": base64.b64encode(content).decode(),
            "MessageType": row.message_type,
            "SigningAlgorithm": row.signing_algorithm,
        }
        reply = await self._client.call("Sign", body, key=name)
        if reply.text("KeyId") != arn or reply.text("SigningAlgorithm") != row.signing_algorithm:
            raise SignatureInvalidError(
                "AWS KMS signed with another key or algorithm than asked for.", key=name
            )
        return jose_form(algorithm, reply.base64("Signature"), key=name)

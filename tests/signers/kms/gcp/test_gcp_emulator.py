"""The Cloud KMS that tests use, held to Google's own client library."""

import hashlib
import os

import google_crc32c
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceRestTransport
from google.oauth2.credentials import Credentials

from tests.support.kms_emulators import RING


@pytest.fixture
def client(gcp_kms):
    """Google's client, over REST, with a token that the service knows."""
    gcp_kms.kms.tokens.add("library")
    host = gcp_kms.url.removeprefix("http://")
    transport = KeyManagementServiceRestTransport(
        host=host, url_scheme="http", credentials=Credentials(token="library")
    )
    return kms_v1.KeyManagementServiceClient(transport=transport)


def test_life_of_a_key(client):
    """Google's client creates a key, lists its versions, reads its public half, signs, and disables it."""
    name = f"library-{os.urandom(4).hex()}"
    algorithm = kms_v1.CryptoKeyVersion.CryptoKeyVersionAlgorithm.EC_SIGN_P256_SHA256
    key = client.create_crypto_key(
        parent=RING,
        crypto_key_id=name,
        crypto_key=kms_v1.CryptoKey(
            purpose=kms_v1.CryptoKey.CryptoKeyPurpose.ASYMMETRIC_SIGN,
            version_template=kms_v1.CryptoKeyVersionTemplate(
                algorithm=algorithm, protection_level=kms_v1.ProtectionLevel.HSM
            ),
        ),
    )
    (version,) = client.list_crypto_key_versions(request={"parent": key.name, "filter": "state=ENABLED"})
    assert version.algorithm == algorithm
    public = client.get_public_key(name=version.name)
    assert public.pem_crc32c == google_crc32c.value(public.pem.encode())
    digest = hashlib.sha256(b"message").digest()
    checksum = google_crc32c.value(digest)
    signed = client.asymmetric_sign(
        request={"name": version.name, "digest": {"sha256": digest}, "digest_crc32c": checksum}
    )
    assert signed.name == version.name
    assert signed.verified_digest_crc32c
    assert signed.signature_crc32c == google_crc32c.value(signed.signature)
    assert signed.protection_level is kms_v1.ProtectionLevel.HSM
    load_pem_public_key(public.pem.encode()).verify(
        signed.signature, digest, ec.ECDSA(utils.Prehashed(SHA256()))
    )
    version.state = kms_v1.CryptoKeyVersion.CryptoKeyVersionState.DISABLED
    client.update_crypto_key_version(crypto_key_version=version, update_mask={"paths": ["state"]})
    with pytest.raises(exceptions.BadRequest):
        client.asymmetric_sign(request={"name": version.name, "digest": {"sha256": digest}})


@pytest.mark.parametrize(
    ("request_fields", "error"),
    [
        ({"digest": {"sha256": b"short"}}, exceptions.BadRequest),
        ({"digest": {"sha256": bytes(32)}, "digest_crc32c": 1}, exceptions.BadRequest),
        ({"digest": {"sha384": bytes(48)}}, exceptions.BadRequest),
    ],
)
def test_wrong_digests(client, request_fields, error):
    """Digests of another length or algorithm, and wrong checksums, are refused as Google's client expects."""
    name = f"{RING}/cryptoKeys/contract-ES256/cryptoKeyVersions/1"
    with pytest.raises(error):
        client.asymmetric_sign(request={"name": name, **request_fields})


def test_errors(client, gcp_kms):
    """Missing keys, taken names, missing permissions and missing tokens are Google's own exceptions."""
    with pytest.raises(exceptions.NotFound):
        client.get_public_key(name=f"{RING}/cryptoKeys/missing/cryptoKeyVersions/1")
    gcp_kms.kms.denied.add("cloudkms.cryptoKeyVersions.viewPublicKey")
    try:
        with pytest.raises(exceptions.Forbidden):
            client.get_public_key(name=f"{RING}/cryptoKeys/contract-ES256/cryptoKeyVersions/1")
    finally:
        gcp_kms.kms.denied.clear()
    transport = KeyManagementServiceRestTransport(
        host=gcp_kms.url.removeprefix("http://"), url_scheme="http", credentials=Credentials(token="unknown")
    )
    # The library answers 401 by renewing its credentials, and these cannot be.
    with pytest.raises(RefreshError):
        kms_v1.KeyManagementServiceClient(transport=transport).get_public_key(
            name=f"{RING}/cryptoKeys/contract-ES256/cryptoKeyVersions/1"
        )

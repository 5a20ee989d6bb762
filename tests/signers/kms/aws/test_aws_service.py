"""AWS KMS: aliases, regions, credentials and what its errors mean. Against ministack."""

import json
import os

import pytest

from signers import (
    AccessDeniedError,
    Algorithm,
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    SignerThrottledError,
    SignerUnavailableError,
)
from signers.jose_form import spki_sha256
from signers.kms.aws.credentials import service_url
from signers.kms.aws.faults import fault_of
from signers.kms.aws.uri import parse_awskms_uri
from signers.registry import SignerRegistry
from signers.remote import credentials
from signers.remote.http import HttpReply
from tests.support.fault_proxy import FaultProxy, answering
from tests.support.ministack import POLICY, REGION, isolate

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
KEY_ID = ARN.rpartition("/")[2]


@pytest.fixture
async def registry(aws_environment):
    async with SignerRegistry() as made:
        yield made


async def test_alias_is_followed_once(registry, ministack):
    """An alias is resolved when the key is opened; pointed elsewhere later, it changes no open signer."""
    alias = f"alias/moved-{os.urandom(4).hex()}"
    first_arn = ministack.create_key("ECC_NIST_P256", alias)
    second_arn = ministack.create_key("ECC_NIST_P256")
    first = await registry.open(ministack.uri(alias), Algorithm.ES256)
    assert first.key_version == first_arn.rpartition("/")[2]
    ministack.client("kms").update_alias(AliasName=alias, TargetKeyId=second_arn.rpartition("/")[2])
    await first.check()
    second = await registry.open(ministack.uri(alias), Algorithm.ES256)
    assert second.key_version == second_arn.rpartition("/")[2]
    again = await registry.open(first.pinned_uri, Algorithm.ES256)
    assert again.key_id == first.key_id
    with pytest.raises(KeyMismatchError):
        await registry.open(
            ministack.uri(alias), Algorithm.ES256, public_key_sha256=spki_sha256(first.public_key)
        )


async def test_message_that_is_too_long_for_ed25519(registry, ministack, aws_keys):
    """Ed25519 takes messages of up to 4096 bytes; a longer one is refused before it is sent."""
    signer = await registry.open(ministack.uri(aws_keys["EdDSA"]), Algorithm.EDDSA)
    await signer.sign(bytes(4096))
    for message in (b"", bytes(4097)):
        with pytest.raises(KeyUnusableError, match=f"1 to 4096 bytes with EdDSA, not {len(message)}"):
            await signer.sign(message)


async def test_region_from_the_environment(registry, ministack, aws_keys, monkeypatch):
    """A URI without a region takes the environment's; without either it says what to add."""
    key_id = aws_keys["ES256"].rpartition("/")[2]
    uri = f"awskms:key-id={key_id}?endpoint={ministack.url}"
    with pytest.raises(KeyUriError, match="AWS_REGION is not set; add ';region=eu-central-1'"):
        await registry.open(uri, Algorithm.ES256)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    assert (await registry.open(uri, Algorithm.ES256)).key_version == key_id


async def test_no_credentials(ministack, aws_keys, monkeypatch, tmp_path):
    """Where the chain finds no credentials, the error says where they were looked for."""
    isolate(monkeypatch, tmp_path)
    async with SignerRegistry() as registry:
        with pytest.raises(AccessDeniedError, match="neither environment, profile, web identity"):
            await registry.open(ministack.uri(aws_keys["ES256"]), Algorithm.ES256)


async def test_credentials_of_a_profile(ministack, aws_keys, aws_user, monkeypatch, tmp_path):
    """Credentials in the shared file serve as well, and a wrong secret is refused by the service."""
    isolate(monkeypatch, tmp_path)
    shared = tmp_path / "aws-credentials"
    shared.write_text(
        f"[default]\naws_access_key_id = {aws_user['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {aws_user['AWS_SECRET_ACCESS_KEY']}\n"
    )
    async with SignerRegistry() as registry:
        await (await registry.open(ministack.uri(aws_keys["ES256"]), Algorithm.ES256)).check()
    shared.write_text(shared.read_text().rstrip() + "x\n")
    async with SignerRegistry() as registry:
        with pytest.raises(AccessDeniedError, match="signature"):
            await registry.open(ministack.uri(aws_keys["ES256"]), Algorithm.ES256)


async def test_credentials_of_a_role(ministack, aws_keys, aws_user, monkeypatch, tmp_path):
    """Temporary credentials of a role that the profile assumes serve, with their session token; a role that
    may not be assumed is told in the words of STS.
    """
    isolate(monkeypatch, tmp_path)
    name = f"role-{os.urandom(4).hex()}"
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    iam = ministack.client("iam")
    role = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="sign", PolicyDocument=json.dumps(POLICY))
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role["Arn"]}
    source = ministack.user(f"{name}-user", {"Version": "2012-10-17", "Statement": [assume]})
    (tmp_path / "aws-credentials").write_text(
        f"[source]\naws_access_key_id = {source['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {source['AWS_SECRET_ACCESS_KEY']}\n"
    )
    (tmp_path / "aws-config").write_text(
        f"[profile signer]\nrole_arn = {role['Arn']}\nsource_profile = source\n"
        f"[profile other]\nrole_arn = {role['Arn']}x\nsource_profile = source\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", ministack.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_PROFILE", "signer")
    async with SignerRegistry() as registry:
        await (await registry.open(ministack.uri(aws_keys["ES256"]), Algorithm.ES256)).check()
    monkeypatch.setenv("AWS_PROFILE", "other")
    async with SignerRegistry() as registry:
        with pytest.raises(AccessDeniedError, match=r"AWS gives no credentials: .*AssumeRole"):
            await registry.open(ministack.uri(aws_keys["ES256"]), Algorithm.ES256)


async def test_profile_that_does_not_exist(ministack, aws_keys, monkeypatch, tmp_path):
    """A profile that is not in the AWS configuration is named."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    async with SignerRegistry() as registry:
        with pytest.raises(AccessDeniedError, match=r"cannot be used: .*\(nobody\)"):
            await registry.open(ministack.uri(aws_keys["ES256"]), Algorithm.ES256)


async def test_expired_credentials_that_nothing_replaces(registry, ministack, aws_keys, monkeypatch):
    """Expired credentials for which the chain has no others are told as what they are."""
    monkeypatch.setattr(credentials, "MIN_AGE", 0.0)
    expired = answering(400, {"__type": "ExpiredTokenException", "message": "The security token is expired"})
    async with FaultProxy(upstream=ministack.url) as proxy:
        signer = await registry.open(ministack.uri(aws_keys["ES256"], proxy.url), Algorithm.ES256)
        proxy.always = expired
        with pytest.raises(AccessDeniedError, match="The security token is expired"):
            await signer.sign(b"message")
        assert proxy.signing == 1


async def test_permission_to_create_is_another(ministack, monkeypatch, tmp_path):
    """The policy for signing does not create keys; a key's own ARN names no new key."""
    isolate(monkeypatch, tmp_path)
    for name, value in ministack.user(f"signer-{os.urandom(4).hex()}", POLICY).items():
        monkeypatch.setenv(name, value)
    async with SignerRegistry() as registry:
        with pytest.raises(AccessDeniedError):
            await registry.create(ministack.uri("alias/not-permitted"), Algorithm.ES256)
        with pytest.raises(KeyUriError, match="alias"):
            await registry.create(ministack.uri(ARN), Algorithm.ES256)


async def test_key_that_encrypts(registry, ministack):
    """A key that is not for signing is refused with its KeySpec and KeyUsage."""
    made = ministack.client("kms").create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    with pytest.raises(KeyUnusableError, match="KeySpec is RSA_2048, its KeyUsage ENCRYPT_DECRYPT"):
        await registry.open(ministack.uri(made["KeyMetadata"]["Arn"]), Algorithm.RS256)


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("NotFoundException", 400, KeyNotFoundError),
        ("AlreadyExistsException", 400, KeyAmbiguousError),
        ("DisabledException", 400, KeyUnusableError),
        ("KMSInvalidStateException", 400, KeyUnusableError),
        ("InvalidKeyUsageException", 400, KeyUnusableError),
        ("AccessDeniedException", 400, AccessDeniedError),
        ("ExpiredTokenException", 400, AccessDeniedError),
        ("InvalidSignatureException", 403, AccessDeniedError),
        ("UnrecognizedClientException", 400, AccessDeniedError),
        ("ThrottlingException", 400, SignerThrottledError),
        ("KMSInternalException", 500, SignerUnavailableError),
        ("KeyUnavailableException", 500, SignerUnavailableError),
        ("DependencyTimeoutException", 503, SignerUnavailableError),
        ("SomethingNew", 400, KeyUnusableError),
        ("SomethingNew", 500, SignerUnavailableError),
    ],
)
def test_errors(name, status, error):
    """Each error of the service is one of ours, however the protocol writes its name."""
    body = json.dumps({"__type": f"com.amazonaws.kms#{name}", "message": "why"}).encode()
    headers = {"x-amzn-errortype": f"{name}:http://internal.example/"}
    for reply in (HttpReply(status, {}, body), HttpReply(status, headers, b'{"message": "why"}')):
        found = fault_of(reply, "awskms:key-id=k")
        assert type(found) is error
        assert str(found).startswith(f"AWS KMS answered {name}: why")
        assert ("clock" in str(found)) == (name == "InvalidSignatureException")
        assert found.key == "awskms:key-id=k"


def test_error_without_a_name():
    """An answer of a load balancer, with no error of the service in it, is told by its status."""
    found = fault_of(HttpReply(502, {}, b"<html>"), "k")
    assert type(found) is SignerUnavailableError
    assert "502" in str(found)


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-central-1", "https://kms.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "https://kms.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "https://kms.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_endpoint_of_a_region(aws_environment, region, url):
    """A region's endpoint is in the partition's own domain."""
    assert service_url(region) == url


def test_fips_endpoint(aws_environment, monkeypatch):
    """AWS_USE_FIPS_ENDPOINT chooses the FIPS endpoint."""
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    assert service_url("us-east-1") == "https://kms-fips.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    "key_id", [KEY_ID, "mrk-1234abcd12ab34cd56ef1234567890ab", "alias/tokens", "alias/a/b_c-d", ARN]
)
def test_uri(key_id):
    """A key's id, ARN or alias, and an alias's ARN, name a key; an ARN brings its region."""
    parsed = parse_awskms_uri(f"awskms:key-id={key_id}?endpoint=https://kms.example")
    assert parsed.key_id == key_id
    assert parsed.region == ("eu-central-1" if key_id.startswith("arn:") else None)
    assert parsed.redacted == f"awskms:key-id={key_id}"
    assert parsed.pinned(ARN) == f"awskms:key-id={ARN}?endpoint=https://kms.example"
    assert parse_awskms_uri(parsed.pinned(ARN)).key_id == ARN


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("awskms:region=eu-central-1", "lacks 'key-id'"),
        ("awskms:key-id=tokens", "alias/NAME"),
        ("awskms:key-id=alias/tok ens", "percent-encode"),
        ("awskms:key-id=alias/tok%2Aens", "alias/NAME"),
        (f"awskms:key-id={KEY_ID};region=Frankfurt", "region=eu-central-1"),
        (f"awskms:key-id={ARN};region=us-east-1", "not the one in the ARN"),
        ("awskms:key-id=arn:aws:s3:eu-central-1:111122223333:key/x", "key-id must be"),
        (f"awskms:key-id={KEY_ID};version=1", "not known in the path"),
        (f"awskms:key-id={KEY_ID}?endpoint=http://kms.example", "https"),
        (f"awskms:key-id={KEY_ID}?ca-file=roots.pem", "absolute"),
    ],
)
def test_uri_refused(uri, reason):
    """A URI that names no KMS key is refused with the way to mend it."""
    with pytest.raises(KeyUriError, match=reason):
        parse_awskms_uri(uri)

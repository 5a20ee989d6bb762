"""Tokens and keys as the binding reports them, on a real SoftHSM."""

import os
from dataclasses import replace

import pytest

from signers import Algorithm, KeyAmbiguousError, KeyUnusableError, PinError, SignerUnavailableError
from signers.durations import StageTimes, call_stages
from signers.pkcs11 import constants as ck
from signers.pkcs11.binding import CryptokiError, MechanismCall, ModuleLoadError, boolean, ulong
from signers.pkcs11.ctypes_binding import CtypesCryptoki
from signers.pkcs11.objects import unwrap_point
from signers.pkcs11.options import Pkcs11Options
from signers.pkcs11.provider import Pkcs11Provider
from tests.support.certificates_for_signers import issued
from tests.support.softhsm import FaultyTable, opened

POINT = b"\x04" + os.urandom(64)


@pytest.fixture
def faulty() -> FaultyTable:
    """A module table whose binding can be made to fail."""
    return FaultyTable()


@pytest.mark.parametrize(
    ("stored", "point"),
    [
        (b"\x04\x41" + POINT, POINT),
        (POINT, POINT),
        (b"\x04\x20" + b"e" * 32, b"e" * 32),
        (b"e" * 32, b"e" * 32),
        (b"\x04\x81\x85" + b"\x04" + b"p" * 132, b"\x04" + b"p" * 132),
        (b"\x04" + b"p" * 132, b"\x04" + b"p" * 132),
        (b"", b""),
    ],
    ids=["P-256 wrapped", "P-256", "Ed25519 wrapped", "Ed25519", "P-521 wrapped", "P-521", "empty"],
)
def test_points_wrapped_and_bare(stored, point):
    """CKA_EC_POINT is understood as a DER OCTET STRING and as a bare point."""
    assert unwrap_point(stored) == point


def test_file_that_is_no_module(tmp_path):
    """A missing file, a file that is no library, and a library without PKCS#11 cannot be loaded."""
    (tmp_path / "text.so").write_text("text")
    for path in (tmp_path / "missing.so", tmp_path / "text.so", "libc.so.6"):
        with pytest.raises(ModuleLoadError):
            CtypesCryptoki(str(path))


def test_errors_carry_the_function_and_the_number(softhsm):
    """A call that fails raises `CryptokiError` with what the module returned."""
    cryptoki = CtypesCryptoki(str(softhsm.module))
    with pytest.raises(CryptokiError, match="C_GetSlotList returned CKR_CRYPTOKI_NOT_INITIALIZED") as caught:
        cryptoki.tokens()
    assert caught.value.code == ck.CKR_CRYPTOKI_NOT_INITIALIZED


async def test_module_that_another_user_initialized_is_refused(softhsm, faulty):
    """A module that something else in the process has initialized is not used: its locking is unknown."""
    other = CtypesCryptoki(str(softhsm.module))
    other.initialize()
    try:
        with pytest.raises(SignerUnavailableError, match="ALREADY_INITIALIZED"):
            await Pkcs11Provider.open(softhsm.uris[0], Pkcs11Options(), faulty)
    finally:
        other.finalize()
    async with opened(softhsm.uris[0], faulty) as provider:
        await (await provider.signer(softhsm.uris[0], Algorithm.ES256)).check()


async def test_stages_of_a_call_are_counted_once_more(softhsm, faulty):
    """For who traces the call, from the token's threads; another call's are its own."""
    async with opened(softhsm.uris[0], faulty) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        traced = StageTimes()
        token = call_stages.set(traced)
        await signer.sign(b"one")
        await signer.sign_many([b"two", b"three"])
        call_stages.reset(token)
        await signer.sign(b"four")
        counted = {stage.value: sum(times.counts) for stage, times in traced.totals().items()}
        assert counted == {"queue": 2, "sign": 3, "verify": 3}
        of_the_key = {stage.value: sum(times.counts) for stage, times in signer.stages.totals().items()}
        assert of_the_key == {"queue": 3, "sign": 4, "verify": 4}


async def test_wrong_module_path(softhsm, tmp_path):
    """A module path that is no module is refused with the path."""
    uri = softhsm.uris[0].replace(str(softhsm.module), "/nowhere/module.so")
    with pytest.raises(KeyUnusableError, match=r"/nowhere/module\.so"):
        await Pkcs11Provider.open(uri, Pkcs11Options())


async def test_absent_token_lists_those_present(softhsm, faulty):
    """A token that is not there is reported with the labels of those that are."""
    uri = softhsm.uris[0].replace("token=countersign", "token=other")
    with pytest.raises(SignerUnavailableError, match="present: 'countersign'"):
        await Pkcs11Provider.open(uri, Pkcs11Options(), faulty)
    assert faulty.cryptoki.calls["login"] == 0


async def test_token_without_pin(softhsm, faulty):
    """A URI without a PIN source is refused with the way to name one."""
    with pytest.raises(PinError, match="pin-source=file:"):
        await Pkcs11Provider.open(softhsm.uris[0].partition("&pin-source")[0], Pkcs11Options(), faulty)


@pytest.mark.parametrize(
    ("flag", "reason"),
    [(ck.CKF_USER_PIN_LOCKED, "locked"), (ck.CKF_USER_PIN_FINAL_TRY, "would lock the token")],
)
async def test_no_pin_is_tried_on_a_token_about_to_lock(softhsm, faulty, flag, reason):
    """A token that is locked, or one wrong PIN away from it, is left alone."""

    def alter(tokens):
        return [replace(info, flags=info.flags | flag) for info in tokens]

    faulty.get(str(softhsm.module))
    faulty.cryptoki.alter["tokens"] = alter
    with pytest.raises(PinError, match=reason):
        await Pkcs11Provider.open(softhsm.uris[0], Pkcs11Options(), faulty)
    assert faulty.cryptoki.calls["login"] == 0


async def test_pool_keeps_to_the_tokens_limit(softhsm, faulty):
    """No more sessions are opened than the token allows, one of which holds the login."""
    faulty.get(str(softhsm.module))
    faulty.cryptoki.alter["tokens"] = lambda tokens: [replace(info, max_sessions=3) for info in tokens]
    async with opened(softhsm.uris[0], faulty, sessions=16) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        await signer.sign_many([b"m"] * 200)
        assert provider.health().detail == "2 sessions"
        assert faulty.cryptoki.calls["open_session"] <= 3


async def test_generated_key_never_leaves_the_token(softhsm, faulty):
    """A generated key is private, sensitive, not extractable, and its value is not revealed."""
    uri = softhsm.uri("fresh")
    async with opened(uri, faulty) as provider:
        await (await provider.create(uri, Algorithm.ES256)).check()
        cryptoki = faulty.cryptoki
        session = cryptoki.open_session(cryptoki.tokens()[0].slot, read_write=False)
        template = ((ck.CKA_CLASS, ulong(ck.CKO_PRIVATE_KEY)), (ck.CKA_LABEL, b"fresh"))
        (handle,) = cryptoki.find(session, template, 2)
        for attribute, value in (
            (ck.CKA_PRIVATE, True),
            (ck.CKA_SENSITIVE, True),
            (ck.CKA_EXTRACTABLE, False),
            (ck.CKA_SIGN, True),
            (ck.CKA_TOKEN, True),
        ):
            assert cryptoki.attribute(session, handle, attribute) == boolean(value)
        assert cryptoki.attribute(session, handle, ck.CKA_VALUE) is None


async def test_keys_are_found_once_per_session(softhsm, faulty):
    """A signature costs no search: finding is done once in each session."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        await signer.sign(b"m")
        found = faulty.cryptoki.calls["find"]
        await signer.sign_many([b"m"] * 50)
        assert faulty.cryptoki.calls["find"] == found


async def test_twins_are_told_apart_by_id(softhsm, faulty):
    """Two keys under one label are ambiguous by label, and each is found by its id."""
    label = softhsm.uri("twin")
    one, two = (label.replace(";type=", f";id={key_id};type=") for key_id in ("%01", "%02"))
    async with opened(label, faulty) as provider:
        first, second = (
            await provider.create(one, Algorithm.ES256),
            await provider.create(two, Algorithm.ES256),
        )
        with pytest.raises(KeyAmbiguousError):
            await provider.signer(label, Algorithm.ES256)
        assert (await provider.signer(one, Algorithm.ES256)).key_id == first.key_id
        assert (await provider.signer(two, Algorithm.ES256)).key_id == second.key_id
        assert first.key_id != second.key_id


async def test_public_half_from_the_certificate(softhsm, faulty, tmp_path):
    """A token without public keys is served by the configured certificate, or refused without one."""
    async with opened(softhsm.uris[0], faulty) as provider:
        cryptoki = faulty.cryptoki
        session = cryptoki.open_session(cryptoki.tokens()[0].slot, read_write=True)
        template = ((ck.CKA_CLASS, ulong(ck.CKO_PUBLIC_KEY)), (ck.CKA_LABEL, b"tokens-es256"))
        (handle,) = cryptoki.find(session, template, 2)
        certificate = issued((await provider.signer(softhsm.uris[0], Algorithm.ES256)).public_key)
        cryptoki.destroy_object(session, handle)
        with pytest.raises(KeyUnusableError, match="configure its certificate"):
            await provider.signer(softhsm.uris[0], Algorithm.ES256)
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256, certificate=certificate)
        await signer.check()


def test_prepared_mechanisms_keep_their_parameter(softhsm_all, monkeypatch):
    """PSS parameters survive in the binding's cache while memory is reused around them."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_all.softhsm2_conf))
    cryptoki = CtypesCryptoki(str(softhsm_all.module))
    cryptoki.initialize()
    try:
        slot = next(info.slot for info in cryptoki.tokens() if info.label == "contract")
        session = cryptoki.open_session(slot, read_write=False)
        cryptoki.login(session, softhsm_all.pin_file.read_bytes())
        template = ((ck.CKA_CLASS, ulong(ck.CKO_PRIVATE_KEY)), (ck.CKA_LABEL, b"rsa"))
        (key,) = cryptoki.find(session, template, 2)
        pss = ulong(ck.CKM_SHA256) + ulong(ck.CKG_MGF1_SHA256) + ulong(32)
        for _ in range(5):
            call = MechanismCall(ck.CKM_RSA_PKCS_PSS, pss)
            assert len(cryptoki.sign(session, key, call, bytes(32), 384)) == 384
            assert [os.urandom(24) for _ in range(1000)]
    finally:
        cryptoki.finalize()

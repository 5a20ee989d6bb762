"""What a token cannot do is said when it is opened, in words that name the setting or the tool that helps."""

from dataclasses import replace

import pytest

from signers import Algorithm, KeyUnusableError
from signers.isolated.provider import IsolatedProvider
from signers.pkcs11 import constants as ck
from signers.pkcs11.binding import CryptokiError, MechanismCall, boolean, ulong
from signers.pkcs11.ctypes_binding import CtypesCryptoki
from signers.pkcs11.generate import EC_PARAMS
from signers.pkcs11.mechanisms import select
from signers.pkcs11.options import Pkcs11Options
from signers.pkcs11.provider import Pkcs11Provider
from tests.support.pkcs11_spy import Spy
from tests.support.softhsm import FaultyTable, eventually, opened

ES256 = Algorithm.ES256
EC = frozenset({ck.CKM_ECDSA, ck.CKM_ECDSA_SHA256})


@pytest.fixture
def faulty() -> FaultyTable:
    """A module table whose binding can be made to fail."""
    return FaultyTable()


@pytest.fixture
def refusing(softhsm, faulty):
    """Opens the token with an answer of its binding altered, and expects to be told why not."""

    async def run(expected: str, method: str, change, **options) -> None:
        faulty.get(str(softhsm.module))
        faulty.cryptoki.alter[method] = change
        with pytest.raises(KeyUnusableError, match=expected):
            await Pkcs11Provider.open(softhsm.uris[0], Pkcs11Options(**options), faulty)

    return run


def limited(**changes):
    """An alteration of every token's info."""
    return lambda tokens: [replace(info, **changes) for info in tokens]


async def test_a_token_with_one_session(refusing):
    """It cannot be logged in and sign at once."""
    await refusing("allows one session, and two are needed", "tokens", limited(max_sessions=1))


async def test_a_token_with_one_session_to_write(refusing):
    """The same where every session is one to write."""
    await refusing("allows one session", "tokens", limited(max_rw_sessions=1), read_write_sessions=True)


async def test_sessions_to_write_on_a_protected_token(refusing):
    """The setting to change is named."""
    await refusing(
        r"set pkcs11\.read_write_sessions = false",
        "tokens",
        lambda tokens: [replace(info, flags=info.flags | ck.CKF_WRITE_PROTECTED) for info in tokens],
        read_write_sessions=True,
    )


@pytest.mark.parametrize("code", [ck.CKR_ARGUMENTS_BAD, ck.CKR_FUNCTION_FAILED, ck.CKR_SESSION_READ_ONLY])
async def test_a_token_without_read_only_sessions(softhsm, faulty, code):
    """As AWS CloudHSM: the setting to change is named."""
    faulty.get(str(softhsm.module))
    faulty.cryptoki.faults["open_session"] = [code]
    with pytest.raises(KeyUnusableError, match=r"set pkcs11\.read_write_sessions = true"):
        await Pkcs11Provider.open(softhsm.uris[0], Pkcs11Options(), faulty)


async def test_every_session_is_one_to_write_where_that_is_set(softhsm, faulty):
    """The one that logs in, too: a token without read-only sessions opens none."""
    asked = []
    faulty.get(str(softhsm.module))
    binding = faulty.cryptoki._inner
    open_session = binding.open_session

    def remember(slot, *, read_write):
        asked.append(read_write)
        return open_session(slot, read_write=read_write)

    binding.open_session = remember
    async with opened(softhsm.uris[0], faulty, read_write_sessions=True) as provider:
        await (await provider.signer(softhsm.uris[0], ES256)).check()
    assert len(asked) >= 2
    assert all(asked)


@pytest.mark.parametrize(
    ("limits", "options", "size"),
    [
        ({"max_sessions": 3}, {"sessions": 8}, 2),
        ({"max_sessions": 0}, {"sessions": 8}, 8),
        ({"max_sessions": 9, "max_rw_sessions": 3}, {"sessions": 8}, 8),
        ({"max_sessions": 9, "max_rw_sessions": 3}, {"sessions": 8, "read_write_sessions": True}, 2),
        ({"max_sessions": 2}, {"sessions": 8}, 1),
    ],
)
async def test_the_token_bounds_the_sessions(softhsm, faulty, limits, options, size, caplog):
    """CK_TOKEN_INFO says how many; one of them logs in, and a lowered number is logged."""
    faulty.get(str(softhsm.module))
    faulty.cryptoki.alter["tokens"] = limited(**limits)
    async with opened(softhsm.uris[0], faulty, **options) as provider:
        assert provider._pool.size == size
    assert ("sessions sign, not 8" in caplog.text) == (size < 8)


def test_a_mechanism_that_only_verifies():
    """It is listed, but not to sign with: C_GetMechanismInfo tells."""
    with pytest.raises(
        KeyUnusableError, match=r"not to sign with, that ES256 needs: CKM_ECDSA or CKM_ECDSA_SHA256"
    ):
        select(ES256, EC, key="k", flags_of=lambda _: 0x2000)


def test_the_mechanism_that_signs_is_taken():
    """Where the first choice only verifies the second may sign."""
    flags = {ck.CKM_ECDSA: 0x2000, ck.CKM_ECDSA_SHA256: ck.CKF_SIGN | 0x2000}
    assert select(ES256, EC, key="k", flags_of=flags.__getitem__).call.mechanism == ck.CKM_ECDSA_SHA256


def test_a_mechanism_without_any_flag_is_tried():
    """Some modules fill in nothing; refusing them would be wrong."""
    assert select(ES256, EC, key="k", flags_of=lambda _: 0).call.mechanism == ck.CKM_ECDSA


def test_a_missing_mechanism_is_named():
    """By its name in the standard."""
    with pytest.raises(KeyUnusableError, match="has no mechanism that EdDSA needs: CKM_EDDSA"):
        select(Algorithm.EDDSA, EC, key="k")


async def test_a_key_that_may_not_sign(softhsm, faulty):
    """CKA_SIGN is false: it is refused when it is opened."""
    cryptoki = CtypesCryptoki(str(softhsm.module))
    cryptoki.initialize()
    slot = next(info.slot for info in cryptoki.tokens() if info.label == softhsm.token)
    session = cryptoki.open_session(slot, read_write=True)
    cryptoki.login(session, softhsm.pin_file.read_bytes().strip())
    common = ((ck.CKA_TOKEN, boolean(True)), (ck.CKA_LABEL, b"mute"), (ck.CKA_ID, b"\7"))
    cryptoki.generate_key_pair(
        session,
        MechanismCall(ck.CKM_EC_KEY_PAIR_GEN),
        (*common, (ck.CKA_EC_PARAMS, EC_PARAMS["P-256"])),
        (*common, (ck.CKA_KEY_TYPE, ulong(ck.CKK_EC)), (ck.CKA_SIGN, boolean(False))),
    )
    cryptoki.finalize()
    uri = softhsm.uris[0].replace("tokens-es256", "mute")
    async with opened(uri, faulty) as provider:
        with pytest.raises(KeyUnusableError, match="its CKA_SIGN is false"):
            await provider.signer(uri, ES256)


async def test_no_key_is_made_on_a_protected_token(softhsm, faulty):
    """It is refused before anything is tried."""
    uri = softhsm.uris[0].replace("tokens-es256", "new")
    async with opened(softhsm.uris[0], faulty) as provider:
        provider._token._info = replace(
            provider._token.info, flags=provider._token.info.flags | ck.CKF_WRITE_PROTECTED
        )
        with pytest.raises(KeyUnusableError, match="write-protected"):
            await provider.create(uri, ES256)
        assert faulty.cryptoki.calls["generate_key_pair"] == 0


async def test_a_token_that_makes_no_such_key(softhsm, faulty):
    """The mechanism is named, and the way around it."""
    uri = softhsm.uris[0].replace("tokens-es256", "new")
    async with opened(softhsm.uris[0], faulty) as provider:
        faulty.cryptoki.alter["mechanisms"] = lambda found: found - {ck.CKM_EC_KEY_PAIR_GEN}
        with pytest.raises(
            KeyUnusableError, match=r"has no CKM_EC_KEY_PAIR_GEN\. Make it with the vendor's tool"
        ):
            await provider.create(uri, ES256)


@pytest.mark.parametrize("code", [ck.CKR_TOKEN_WRITE_PROTECTED, ck.CKR_SESSION_READ_ONLY])
async def test_a_token_that_takes_no_key(softhsm, faulty, code):
    """It is tried once: another session will not help."""
    uri = softhsm.uris[0].replace("tokens-es256", "new")
    async with opened(softhsm.uris[0], faulty) as provider:
        faulty.cryptoki.faults["generate_key_pair"] = [code]
        with pytest.raises(KeyUnusableError, match="takes no new keys"):
            await provider.create(uri, ES256)
        assert faulty.cryptoki.calls["generate_key_pair"] == 1


async def test_an_idle_login_is_kept_alive(softhsm, faulty):
    """The session that holds the login is used, which nothing else does."""
    async with opened(softhsm.uris[0], faulty, keep_alive=0.01) as provider:
        before = faulty.cryptoki.calls["find"]
        await eventually(lambda: faulty.cryptoki.calls["find"] >= before + 3)
        assert provider.health().available


async def test_an_hsm_that_went_away_is_found_out_by_itself(softhsm, faulty):
    """Without a signature being asked for: the module is initialized again and logged in."""
    async with opened(softhsm.uris[0], faulty, keep_alive=0.01) as provider:
        await eventually(lambda: faulty.cryptoki.calls["find"] > 0)
        faulty.cryptoki.faults["find"] = [ck.CKR_DEVICE_ERROR]
        await eventually(lambda: faulty.cryptoki.calls["finalize"] == 1)
        await eventually(lambda: provider.health().available)
        await (await provider.signer(softhsm.uris[0], ES256)).check()


async def test_nothing_is_kept_alive_where_that_is_off(softhsm, faulty):
    """For devices that count logins or sessions by use."""
    async with opened(softhsm.uris[0], faulty, keep_alive=0) as provider:
        assert provider._keep_alive is None


def test_errors_name_what_they_are():
    """A vendor's own number is shown as it is."""
    assert str(CryptokiError("C_Sign", 0x80000001)) == "C_Sign returned CKR 0x80000001"
    assert ck.mechanism_name(0x80000001) == "CKM 0x80000001"


async def test_a_signer_process_keeps_its_login_alive(softhsm, tmp_path, monkeypatch):
    """With the module in a process of its own, that process does it."""
    spy = Spy(softhsm, tmp_path, monkeypatch)
    provider = await IsolatedProvider.open(spy.uri("tokens-es256"), Pkcs11Options(keep_alive=0.05))
    try:
        before = spy.calls("C_FindObjectsInit")
        await eventually(lambda: spy.calls("C_FindObjectsInit") >= before + 3)
    finally:
        await provider.aclose()

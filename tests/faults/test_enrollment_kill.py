"""A process killed at any write of an enrollment loses nothing, and no order gets two certificates."""

import asyncio
import json
import signal
import subprocess
import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.enrollment.model import AuthorizationStatus, ChallengeStatus, Order, OrderStatus
from gateway.errors import Reason, StateError
from gateway.jose.jwk import parse_jwk
from gateway.pki.crl import RevocationReason
from tests.support.enrolling_process import STAGES
from tests.support.enrollment import NOW, bench, p256_key, wire_csr
from tests.support.stores import DATABASES, REPOSITORY, empty_database
from tests.support.wire import Device, prover

_LEASED = {"after reserve", "before complete"}
"""Where a process dies that has begun to sign."""


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.mark.parametrize("stage", STAGES)
async def test_a_kill_at_any_write(tmp_path, url, stage):
    """What was acknowledged holds; whoever comes after goes on from there, and there is one certificate."""
    device = Device(prover("ES256"))
    pem = device.prover.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "device.pem").write_bytes(pem)
    command = [sys.executable, "-m", "tests.support.enrolling_process", str(tmp_path), url, stage]
    died = await asyncio.to_thread(
        subprocess.run, command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    diary = json.loads((tmp_path / "diary.json").read_text())
    async with bench(tmp_path, url=url, start=NOW + 1) as lab:
        lab.provider.key = parse_jwk(diary["provider"])
        account = await lab.account(device.prover)
        order = await ordered(lab, account, diary)
        await answered(lab, account, order, device, diary)
        await finalized(lab, account, order, diary, leased=stage in _LEASED)
        await revoked(lab, account, order, done=stage == "after revoke")


async def ordered(lab, account, diary: dict[str, Any]) -> Order:
    """The order that the process made, or a new one where it never came to that."""
    assert diary.get("account", account.account_id) == account.account_id
    listed, _ = await lab.enrollment.orders.list_ids(account, after=None, limit=10)
    assert len(listed) <= 1
    assert diary.get("order", listed[0] if listed else None) in {*listed, None}
    if not listed:
        return await lab.order(account)
    return await lab.enrollment.orders.get(account, listed[0])


async def answered(lab, account, order: Order, device: Device, diary: dict[str, Any]) -> None:
    """Both challenges are valid, by the same answers that the process had where it was not told of them."""
    first, second = (each.challenges[0].status for each in order.authorizations)
    assert first is ChallengeStatus.VALID or "dpop" not in diary
    assert second is ChallengeStatus.VALID or "oidc" not in diary
    token = diary.get("access_token") or await lab.access_token(order, device)
    signer = lab.signer_of_ids
    if "id_token" not in diary:
        lab.provider.key = parse_jwk(signer.jwk)
    dpop = await lab.answer_dpop(account, order, token)
    oidc = await lab.answer_oidc(account, order, diary.get("id_token") or lab.id_token(order, account))
    assert {dpop.challenge.status, oidc.challenge.status} == {ChallengeStatus.VALID}
    assert {dpop.authorization.status, oidc.authorization.status} == {AuthorizationStatus.VALID}


async def finalized(lab, account, order: Order, diary: dict[str, Any], *, leased: bool) -> None:
    """One certificate, after a lease where one was taken, whoever asks for it and how often."""
    issuing = lab.enrollment.issuing
    request = bytes.fromhex(diary["request"]) if "request" in diary else wire_csr(p256_key())
    if leased:
        with pytest.raises(StateError) as refused:
            await issuing.finalize(account, order.order_id, request)
        assert refused.value.reason is Reason.ORDER_NOT_READY
        lab.clock.now += 31
    finished = await asyncio.gather(
        *(issuing.finalize(account, order.order_id, request) for _ in range(3)), return_exceptions=True
    )
    done = await issuing.current(account, order.order_id)
    assert done.status is OrderStatus.VALID
    assert diary.get("certificate", done.certificate_id) == done.certificate_id
    for each in finished:
        if isinstance(each, BaseException):
            assert isinstance(each, StateError)
        else:
            assert each.certificate_id == done.certificate_id


async def revoked(lab, account, order: Order, *, done: bool) -> None:
    """It is revoked where the process came to that, and otherwise can be, once."""
    issuing, revocations = lab.enrollment.issuing, lab.enrollment.revocations
    valid = await issuing.current(account, order.order_id)
    issued = await issuing.certificate(account, valid.certificate_id)
    assert (issued.revoke_time is not None) == done
    if not done:
        await revocations.revoke_by_account(account, issued.der, RevocationReason.SUPERSEDED)
    with pytest.raises(StateError) as refused:
        await revocations.revoke_by_account(account, issued.der, RevocationReason.SUPERSEDED)
    assert refused.value.reason is Reason.ALREADY_REVOKED

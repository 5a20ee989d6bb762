"""A process that is killed while it finalizes loses no order, and no order gets two certificates."""

import asyncio
import signal
import subprocess
import sys

import pytest

from gateway.enrollment.model import OrderStatus
from gateway.errors import Reason, StateError
from tests.support.enrollment import NOW, bench
from tests.support.finalizing_process import STAGES
from tests.support.stores import DATABASES, REPOSITORY, empty_database


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.mark.parametrize("stage", STAGES)
async def test_a_kill_at_any_write(tmp_path, url, stage):
    """Whoever comes after finishes the order, waiting for a lease where one was taken, and once."""
    command = [sys.executable, "-m", "tests.support.finalizing_process", str(tmp_path), url, stage]
    died = await asyncio.to_thread(
        subprocess.run, command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    account_id, order_id, request = died.stdout.split()
    async with bench(tmp_path, url=url, start=NOW + 1) as lab:
        account = await lab.store.accounts.get(account_id)
        issuing = lab.enrollment.issuing
        if stage in {"after reserve", "before complete"}:
            with pytest.raises(StateError) as refused:
                await issuing.finalize(account, order_id, bytes.fromhex(request))
            assert refused.value.reason is Reason.ORDER_NOT_READY
            lab.clock.now += 31

        finished = await asyncio.gather(
            *(issuing.finalize(account, order_id, bytes.fromhex(request)) for _ in range(3)),
            return_exceptions=True,
        )

        done = await issuing.current(account, order_id)
        assert done.status is OrderStatus.VALID
        for each in finished:
            if isinstance(each, BaseException):
                assert isinstance(each, StateError)
            else:
                assert each.certificate_id == done.certificate_id
        assert await issuing.certificate(account, done.certificate_id)

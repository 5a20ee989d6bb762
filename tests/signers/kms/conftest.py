"""Fixtures for the cloud KMS rooms."""

import pytest

from tests.support.kms_clouds import CLOUDS
from tests.support.kms_emulators import azure_session, azure_vault, gcp_kms, gcp_session
from tests.support.ministack import aws_environment, aws_keys, aws_user, ministack

__all__ = [
    "aws_environment",
    "aws_keys",
    "aws_user",
    "azure_session",
    "azure_vault",
    "gcp_kms",
    "gcp_session",
    "ministack",
]


@pytest.fixture(params=CLOUDS)
async def cloud(request):
    """Each service in turn, behind a proxy."""
    async with CLOUDS[request.param](request) as made:
        yield made

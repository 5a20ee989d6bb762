"""Revisions after the last of this program, which its successors will bring."""

from pathlib import Path

from gateway.store.migrations.revisions import CURRENT, Revisions


def future(head: str) -> Revisions:
    """A program whose last revision is *head*: ``9001`` is additive, ``9002`` leaves today's behind."""
    return Revisions(head, (*CURRENT.folders, Path(__file__).with_name("next_revisions")))

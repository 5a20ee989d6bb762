"""Who runs a command, for the records that it leaves."""

import getpass

from gateway.telemetry.caller import current_caller


def name_operator() -> None:
    """Whatever this task does from now on is done by ``cli:`` and the operating system's user."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""  # A container may run as a number that has no name.
    current_caller.set(f"cli:{user}")

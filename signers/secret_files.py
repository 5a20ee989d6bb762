"""Reading what must stay secret: key files, passphrases and PINs, each guarded in the same way."""

import os
import stat
from pathlib import Path

from signers.errors import KeyNotFoundError, KeyUnusableError
from signers.uri import SecretSource

MAX_SECRET_FILE = 64 * 1024
"""Bytes. An encrypted RSA-8192 key in PEM takes about 7 KiB."""

MAX_LINKS = 40
"""Symbolic links on the way to a file, as Linux has it (path_resolution(7))."""


def read_secret_file(path: Path, *, key: str, readable_by_others: bool = False) -> bytes:
    """The content of *path*, if only its owner can read or write it.

    Checked on the open descriptor, so that nothing can be swapped in between: a regular file of this user or
    root, mode 0600 or less, at most 64 KiB. Symbolic links are followed if they belong to this user or root
    (as mounted secrets do). No folder on the way, by links or not, may be open to writing by everybody,
    unless it is sticky. *key* is the redacted name for errors. *readable_by_others* accepts mode 0644, which
    Kubernetes gives to the tokens it projects.
    Raises `KeyNotFoundError` or `KeyUnusableError`.
    """
    try:
        _require_trusted_way(path, key)
        # O_NONBLOCK keeps a FIFO from blocking the open; it changes nothing for a regular file.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        raise KeyNotFoundError(f"{path} does not exist.", key=key) from None
    except OSError as error:
        raise KeyUnusableError(f"{path} cannot be opened: {error.strerror}.", key=key) from error
    try:
        _require_private(os.fstat(descriptor), path, key, forbidden=0o022 if readable_by_others else 0o077)
        content = _read_up_to(descriptor, MAX_SECRET_FILE + 1)
    except OSError as error:
        raise KeyUnusableError(f"{path} cannot be read: {error.strerror}.", key=key) from error
    finally:
        os.close(descriptor)
    if len(content) > MAX_SECRET_FILE:
        raise KeyUnusableError(f"{path} is larger than {MAX_SECRET_FILE} bytes.", key=key)
    return content


def read_secret(source: SecretSource, *, key: str, readable_by_others: bool = False) -> bytes:
    """The secret that *source* names, without one trailing line break.

    Unset and unreadable differ from empty: each has its own message. *readable_by_others* as for
    `read_secret_file`. Raises `KeyUnusableError` or
    `KeyNotFoundError`; the secret is in neither.
    """
    if source.kind == "env":
        value = os.environ.get(source.name)
        if value is None:
            raise KeyNotFoundError(f"The environment variable {source.name} is not set.", key=key)
        secret = os.fsencode(value)
    else:
        secret = read_secret_file(Path(source.name), key=key, readable_by_others=readable_by_others)
    secret = secret.removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise KeyUnusableError(f"{source} is empty.", key=key)
    return secret


def _read_up_to(descriptor: int, limit: int) -> bytes:
    content = b""
    while len(content) < limit and (part := os.read(descriptor, limit - len(content))):
        content += part
    return content


def _require_private(status: os.stat_result, path: Path, key: str, *, forbidden: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyUnusableError(f"{path} is not a regular file.", key=key)
    if not _trusted_owner(status.st_uid):
        raise KeyUnusableError(
            f"{path} belongs to user {status.st_uid}, neither this user nor root.", key=key
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & forbidden:
        raise KeyUnusableError(
            f"{path} has mode {mode:04o}, so others than its owner can use it; run: chmod 600 {path}", key=key
        )


def _require_trusted_way(path: Path, key: str) -> None:
    """Whoever can replace the file, a link to it or a folder on the way chooses the secret."""
    hop = path.absolute()
    for _ in range(MAX_LINKS):
        for step in (hop, *hop.parents):
            _require_trusted_step(step, key)
        link = next((step for step in (hop, *hop.parents) if step.is_symlink()), None)
        if link is None:
            return
        hop = (link.parent / link.readlink()) / hop.relative_to(link)
    raise KeyUnusableError(f"{path} leads through more than {MAX_LINKS} symbolic links.", key=key)


def _require_trusted_step(step: Path, key: str) -> None:
    status = step.lstat()
    if stat.S_ISLNK(status.st_mode):
        if not _trusted_owner(status.st_uid):
            raise KeyUnusableError(f"{step} is a symbolic link of another user.", key=key)
    elif stat.S_ISDIR(status.st_mode):
        mode = status.st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise KeyUnusableError(
                f"Everybody can write to {step}, and so replace the file; run: chmod o-w {step}", key=key
            )


def _trusted_owner(uid: int) -> bool:
    return uid in (0, os.geteuid())

"""Make a SoftHSM token and its keys in any folder, without root.

    python softhsm/provision.py DIR [--token NAME] [--key LABEL:ALGORITHM ...]

Writes DIR/softhsm2.conf, the token below DIR/tokens, and a random PIN into DIR/pin (mode 0600). Prints
SOFTHSM2_CONF=... and one key URI per line. A token or key that is there already is kept.
"""

import argparse
import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    # Run as a script, the folder of this file is on the path, and the package `signers` lies beside it.
    sys.path.insert(0, str(ROOT))

import pkcs11  # noqa: E402  # See above.
from pkcs11 import Attribute, KeyType, MechanismFlag  # noqa: E402  # See above.

from signers.algorithms import Algorithm  # noqa: E402  # See above.
from signers.errors import KeyNotFoundError  # noqa: E402
from signers.pkcs11.ctypes_binding import CtypesCryptoki  # noqa: E402
from signers.pkcs11.generate import EC_PARAMS, RSA_BITS  # noqa: E402
from signers.registry import SignerRegistry  # noqa: E402

DEFAULT_TOKEN = "countersign"
DEFAULT_KEYS = ("tokens-es256:ES256", "tokens-eddsa:EdDSA")


_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
_CONFIGURATION = """\
directories.tokendir = {tokens}
objectstore.backend = file
log.level = ERROR
slots.removable = false
# A forked child must not sign with its parent's sessions, and fails here as it would with hardware.
library.reset_on_fork = true
"""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What a process needs to use the token: SOFTHSM2_CONF, and the URIs of the keys in their order."""

    softhsm2_conf: Path
    pin_file: Path
    module: Path
    token: str
    uris: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """What to add to the environment before the module is first used."""
        return {"SOFTHSM2_CONF": str(self.softhsm2_conf)}

    def uri(self, label: str) -> str:
        """The URI of the key *label* on this token, whether it exists or not."""
        return key_uri(self.token, label, module=self.module, pin_file=self.pin_file)


def provision(folder: Path, *, token: str = DEFAULT_TOKEN, keys: Sequence[str] = DEFAULT_KEYS) -> Provisioned:
    """Make *token* and *keys* ("LABEL:ALGORITHM") in *folder*, in a process of its own.

    SoftHSM reads SOFTHSM2_CONF when it is initialized, so that doing it in this process would decide which
    tokens this process sees ever after. Raises `RuntimeError` with what the process printed.
    """
    folder = folder.resolve()
    arguments = [sys.executable, __file__, str(folder), "--token", token]
    for key in keys:
        arguments += ["--key", key]
    result = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=60)
    if result.returncode:
        raise RuntimeError(f"SoftHSM could not be provisioned: {result.stderr.strip()}")
    return _describe(folder, token, [_parse_key(key)[0] for key in keys])


def find_module() -> Path:
    """The SoftHSM library: SOFTHSM2_MODULE, else the usual places. Raises `FileNotFoundError`."""
    named = os.environ.get("SOFTHSM2_MODULE")
    for candidate in (named,) if named else _MODULES:
        if Path(candidate).is_file():
            return Path(candidate)
    raise FileNotFoundError("libsofthsm2.so was not found; install softhsm2 or set SOFTHSM2_MODULE.")


def key_uri(token: str, label: str, *, module: Path, pin_file: Path) -> str:
    """The RFC 7512 URI of a key whose PIN lies in *pin_file*."""
    path = f"token={quote(token, safe='')};object={quote(label, safe='')};type=private"
    return f"pkcs11:{path}?module-path={quote(str(module))}&pin-source=file:{quote(str(pin_file))}"


def _describe(folder: Path, token: str, labels: Sequence[str]) -> Provisioned:
    module, pin_file = find_module(), folder / "pin"
    uris = tuple(key_uri(token, label, module=module, pin_file=pin_file) for label in labels)
    return Provisioned(folder / "softhsm2.conf", pin_file, module, token, uris)


def _parse_key(text: str) -> tuple[str, Algorithm]:
    label, _, algorithm = text.rpartition(":")
    if not label or algorithm not in list(Algorithm):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not LABEL:ALGORITHM; algorithms are {', '.join(Algorithm)}"
        )
    return label, Algorithm(algorithm)


def _write_once(path: Path, content: str, mode: int) -> None:
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)


def _make_token(module: Path, token: str, pin: bytes) -> None:
    cryptoki = CtypesCryptoki(str(module))
    cryptoki.initialize()
    try:
        if any(info.label == token for info in cryptoki.tokens()):
            return
        # SoftHSM always offers one free slot, and it is the last.
        slot = cryptoki.slots(token_present=True)[-1]
        # Nobody needs the security officer of a development token again, so nobody is told the PIN.
        cryptoki.initialize_token(slot, token, so_pin=secrets.token_hex(16).encode(), user_pin=pin)
    finally:
        cryptoki.finalize()


async def _missing(uris: Sequence[str], algorithms: Sequence[Algorithm]) -> list[int]:
    """Which of the keys, by position, are not on the token yet; those that are must sign."""
    missing = []
    async with SignerRegistry() as registry:
        for position, (uri, algorithm) in enumerate(zip(uris, algorithms, strict=True)):
            try:
                signer = await registry.open(uri, algorithm)
            except KeyNotFoundError:
                missing.append(position)
                continue
            await signer.check()
    return missing


def _generate(made: Provisioned, keys: Sequence[tuple[str, Algorithm]]) -> None:
    """Generate *keys* with python-pkcs11: what the gateway finds was made by another implementation."""
    library = pkcs11.lib(str(made.module))
    token = library.get_token(token_label=made.token)
    with token.open(rw=True, user_pin=made.pin_file.read_text()) as session:
        for label, algorithm in keys:
            generate: Callable[..., object]
            if algorithm.spec.key_type == "RSA":
                generate = partial(session.generate_keypair, KeyType.RSA, RSA_BITS)
            else:
                generate = session.create_domain_parameters(
                    KeyType.EC_EDWARDS if algorithm is Algorithm.EDDSA else KeyType.EC,
                    {Attribute.EC_PARAMS: EC_PARAMS[algorithm.spec.curve or ""]},
                    local=True,
                ).generate_keypair
            generate(
                id=secrets.token_bytes(16),
                label=label,
                store=True,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Make a SoftHSM token and its keys, without root.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--token", default=DEFAULT_TOKEN, metavar="NAME")
    parser.add_argument("--key", action="append", type=_parse_key, metavar="LABEL:ALGORITHM")
    options = parser.parse_args(arguments)
    keys = options.key or [_parse_key(key) for key in DEFAULT_KEYS]
    folder: Path = options.folder.resolve()
    tokens = folder / "tokens"
    tokens.mkdir(mode=0o700, parents=True, exist_ok=True)
    result = _describe(folder, options.token, [label for label, _ in keys])
    _write_once(result.softhsm2_conf, _CONFIGURATION.format(tokens=tokens), 0o644)
    _write_once(result.pin_file, secrets.token_hex(16), 0o600)
    os.environ.update(result.environment)
    _make_token(result.module, options.token, result.pin_file.read_bytes())
    algorithms = [algorithm for _, algorithm in keys]
    if missing := asyncio.run(_missing(result.uris, algorithms)):
        _generate(result, [keys[position] for position in missing])
    print(f"SOFTHSM2_CONF={result.softhsm2_conf}")
    for uri in result.uris:
        print(uri)
    return 0


if __name__ == "__main__":
    sys.exit(main())

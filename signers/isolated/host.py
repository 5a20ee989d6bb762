"""The token and its keys in the signer process: every request but the reading and writing of frames."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from signers.algorithms import Algorithm
from signers.base import ProviderHealth
from signers.errors import SignerUnavailableError
from signers.isolated.crew import Crew
from signers.pkcs11.binding import TokenInfo
from signers.pkcs11.generate import generate
from signers.pkcs11.health import token_health
from signers.pkcs11.keep_alive import KeepAlive
from signers.pkcs11.module import Module
from signers.pkcs11.module_table import PROCESS_MODULES
from signers.pkcs11.options import Pkcs11Options
from signers.pkcs11.scope import module_path, own_uri, parse, session_count
from signers.pkcs11.session import Session, SessionLease
from signers.pkcs11.signing_key import SigningKey, find_signing_key, mechanism_in
from signers.pkcs11.token import Token
from signers.uri import Pkcs11Uri
from signers.verification import require_fit


class HostedKey:
    """A key that the gateway refers to by number."""

    def __init__(
        self,
        uri: Pkcs11Uri,
        algorithm: Algorithm,
        certificate: x509.Certificate | None,
        *,
        found: SigningKey | None,
        pinned: object = None,
    ) -> None:
        """*found* in a session, or else the *pinned* public key by which it will be known when it signs."""
        self.name = uri.redacted
        self._uri = uri
        self._algorithm = algorithm
        self._certificate = certificate
        self._pinned = pinned
        self._found = found

    def in_session(self, session: Session) -> SigningKey:
        """The key, ready to sign in any session. Raises `SignerError` or `CryptokiError`."""
        if self._found is None:
            public_key = require_fit(self._pinned, self._algorithm, key=self.name)
            mechanism = mechanism_in(session, self._algorithm, key=self.name)
            self._found = SigningKey(self._uri, self._algorithm, mechanism, public_key, self._certificate)
        return self._found


class TokenHost:
    """One token, logged in, and the keys on it.

    `create` may be called by any thread, with that thread's lease; all else by the thread that reads.
    """

    def __init__(self, module: Module, token: Token, options: Pkcs11Options) -> None:
        self._module = module
        self._token = token
        self._options = options
        self._keys: dict[int, HostedKey] = {}
        # One session more than configured, for the reading thread; all within what the token allows.
        size = session_count(token, options.sessions + 1)
        leases = [SessionLease(module, token, read_write=options.read_write_sessions) for _ in range(size)]
        self.lease = leases[0]
        self.crew = Crew(leases[1:])
        self._size = size
        self._keep_alive: KeepAlive | None = None
        if options.keep_alive:
            self._keep_alive = KeepAlive(module, token, options.keep_alive)
            self._keep_alive.start()

    @classmethod
    def open(cls, uri: str, options: Pkcs11Options, refused: Mapping[TokenInfo, str]) -> "TokenHost":
        """Load the module and log in; *refused* are tokens whose PIN is not tried. Raises `SignerError`."""
        parsed = parse(uri, options)
        module = PROCESS_MODULES.get(module_path(parsed, options))
        module.refuse(refused)
        token = module.attach(parsed, options.timeout, read_write=options.read_write_sessions)
        return cls(module, token, options)

    def key(self, number: int) -> HostedKey:
        """The key of that number. Raises `SignerUnavailableError`."""
        key = self._keys.get(number)
        if key is None:
            raise SignerUnavailableError("The signer process does not know the key.")
        return key

    def find(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Find a key, and number it. Returns its SubjectPublicKeyInfo in hex. Raises `SignerError`."""
        uri, algorithm, certificate = self._named(request)

        def find(session: Session) -> SigningKey:
            return find_signing_key(
                session,
                uri,
                algorithm,
                public_key_sha256=request["public_key_sha256"],
                certificate=certificate,
            )

        found = self.lease.run(find, key=uri.redacted)
        self._keys[request["number"]] = HostedKey(uri, algorithm, certificate, found=found)
        spki = found.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {"spki": spki.hex()}

    def adopt(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Take over a key that a process before this one found; it is looked for when it signs."""
        uri, algorithm, certificate = self._named(request)
        pinned = load_der_public_key(bytes.fromhex(request["spki"]))
        self._keys[request["number"]] = HostedKey(uri, algorithm, certificate, found=None, pinned=pinned)
        return {}

    def create(self, request: Mapping[str, Any], lease: SessionLease) -> dict[str, Any]:
        """Generate a key, which may take the device seconds. Raises `SignerError`."""
        uri, algorithm, _ = self._named(request)

        def make(_: Session) -> None:
            generate(self._module, self._token, uri, algorithm)

        lease.run(make, key=uri.redacted)
        return {}

    def health(self) -> ProviderHealth:
        """What is known now, without a call to the device."""
        timeout = self._options.timeout
        stuck = self.crew.stuck(timeout)
        return token_health(self._module, self._token, size=self._size, stuck=stuck, timeout=timeout)

    def close(self) -> None:
        """End the threads, the sessions and the login; what hangs is left behind."""
        if self._keep_alive is not None:
            self._keep_alive.close()
        self.crew.close(self._options.timeout)
        self.lease.close()
        self._module.detach(self._token, self._options.timeout)

    def _named(self, request: Mapping[str, Any]) -> tuple[Pkcs11Uri, Algorithm, x509.Certificate | None]:
        encoded = request["certificate"]
        certificate = None if encoded is None else x509.load_der_x509_certificate(b64decode(encoded))
        uri = own_uri(request["uri"], self._token, self._options)
        return uri, Algorithm(request["algorithm"]), certificate


def refused_members(refused: Mapping[TokenInfo, str]) -> list[list[str]]:
    """*refused* for JSON."""
    return [
        [info.label, info.manufacturer, info.model, info.serial, reason] for info, reason in refused.items()
    ]


def parse_refused(members: list[list[str]]) -> dict[TokenInfo, str]:
    """Read `refused_members`."""
    return {
        TokenInfo(0, label, manufacturer, model, serial, 0, 0): reason
        for label, manufacturer, model, serial, reason in members
    }

"""Listeners, and how they are known to clients."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.settings.section import Address, Network, OptionalAddress, PublicUrl, Section


class ServerSettings(Section):
    """Listeners and their limits.

    - `tls_address`, `mtls_address`: where the gRPC listeners bind, ``host:port``; port 0 takes a free one
      (with one worker only).
    - `https_address`, `https_mtls_address`: where the HTTPS edge binds, without and with client certificate;
      empty turns it off.
    - `certificate`, `private_key`: PEM files of all listeners; read again when they change.
    - `client_ca`: PEM bundle of the roots that issue client certificates.
    - `workers`: processes that share the ports.
    - `max_message_bytes`, `max_metadata_bytes`: larger requests are refused; the latter bounds the head of an
      HTTP request too.
    - `max_concurrent_calls`: calls under way per worker; more are refused with OVERLOADED.
    - `max_concurrent_streams`: calls under way per connection.
    - `default_deadline`: seconds granted to a call that brings no deadline.
    - `max_deadline`: seconds that a call gets at most, whatever it asks for.
    - `drain_timeout`: seconds that calls under way get after SIGTERM.
    - `max_connections`: gRPC connections of each of the two listeners, per worker; more are closed before
      their handshake.
    - `max_connections_per_address`: gRPC connections of one address, or of one /64 network of IPv6, per
      worker; more are closed, and for some seconds the kernel drops new ones of that address. Linux only, as
      are the next two.
    - `new_connections_per_address`: the same for connections begun per second, four times as many at once.
    - `unlimited_addresses`: networks for which neither holds, nor that connections are closed on which much
      comes and no message, nor the share of an address in HTTPS handshakes: proxies and gateways behind which
      many clients share one address.
    - `max_connection_idle`: seconds after which a gRPC connection without a call ends.
    - `max_connection_age`: seconds after which a client is asked to reconnect, so that load spreads.
    - `https_max_connections`: HTTPS connections per worker; more are closed.
    - `https_max_connections_per_peer`: of them, those of one address, or of one /64 network of IPv6; those of
      a trusted terminator do not count.
    - `https_handshakes_per_second`: TLS handshakes that a worker begins for HTTPS; who comes faster waits.
      One address gets half of them, after four seconds' worth at once: more of its connections are closed.
    - `https_max_body_bytes`: octets of HTTP request bodies that a worker holds at the same time; what comes
      beyond that is refused with OVERLOADED. Bodies of at most 16 KiB go on and do not
      count, except pipelined ones.
    - `https_request_timeout`: seconds within which the head of an HTTP request must arrive, then its body.
    - `https_keep_alive`: seconds that an HTTPS connection may be idle.
    - `tls_reload_interval`: seconds between looks at the certificate files.
    - `reflection`, `channelz`: whether those services are offered (channelz to admins only).
    """

    tls_address: Address = "127.0.0.1:50051"
    mtls_address: Address = "127.0.0.1:50052"
    https_address: OptionalAddress = "127.0.0.1:8443"
    https_mtls_address: OptionalAddress = "127.0.0.1:8444"
    certificate: Path
    private_key: Path
    client_ca: Path
    workers: int = Field(1, ge=1, le=256)
    max_message_bytes: int = Field(4 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)
    max_metadata_bytes: int = Field(16 * 1024, ge=8 * 1024, le=1024 * 1024)
    max_concurrent_calls: int = Field(1_000, ge=1)
    max_concurrent_streams: int = Field(256, ge=1)
    default_deadline: float = Field(10.0, gt=0)
    max_deadline: float = Field(60.0, gt=0)
    drain_timeout: float = Field(25.0, ge=0)
    max_connections: int = Field(4_000, ge=1)
    max_connections_per_address: int = Field(1_000, ge=1)
    new_connections_per_address: int = Field(100, ge=1)
    unlimited_addresses: tuple[Network, ...] = ("127.0.0.1/32", "::1/128")
    max_connection_idle: float = Field(600.0, ge=1)
    max_connection_age: float = Field(1800.0, ge=1)
    https_max_connections: int = Field(1_000, ge=1)
    https_max_connections_per_peer: int = Field(256, ge=1)
    https_handshakes_per_second: int = Field(100, ge=1)
    https_max_body_bytes: int = Field(64 * 1024 * 1024, ge=4 * 1024 * 1024)
    https_request_timeout: float = Field(10.0, gt=0)
    https_keep_alive: float = Field(60.0, gt=0)
    tls_reload_interval: float = Field(1.0, gt=0)
    reflection: bool = True
    channelz: bool = False

    @model_validator(mode="after")
    def _one_worker_for_port_zero(self) -> Self:
        addresses = (self.tls_address, self.mtls_address, self.https_address, self.https_mtls_address)
        if self.workers > 1 and any(address.endswith(":0") for address in addresses):
            raise ValueError("port 0 works with workers = 1 only: several workers must share a known port")
        return self


class EdgeSettings(Section):
    """How the HTTPS edge is known to its clients.

    - `public_url`: the origin that the URLs of the endpoints begin with; by default that of `tokens.issuer`.
    - `mtls_public_url`: the same for the address that asks for client certificates; without it the metadata
      name no `mtls_endpoint_aliases` (RFC 8705 §5). DPoP proofs may name either origin.
    - `authorization_url`: the page of the login application where users authorize clients; it goes into the
      metadata as `authorization_endpoint`. Not beside `upstream`, with which the gateway has that endpoint
      itself.
    """

    public_url: PublicUrl | None = None
    mtls_public_url: PublicUrl | None = None
    authorization_url: Annotated[str, Field(pattern=r"^https://[^#]+$")] | None = None


class TerminatorSettings(Section):
    """A TLS terminator in front that forwards the client's certificate in a header. Off unless named.

    - `trusted`: SPIFFE IDs or RFC 4514 subjects of the terminators' own certificates, as they appear on the
      mutual-TLS listener.
    - `header`: its name in lower case.
    - `format`: how it carries the certificate.
    - `address_header`: the header, in lower case, to which it adds the address that it sees, behind a comma
      where there is one already (`x-forwarded-for`), or which it sets to it. Callers without a name are
      limited by that address; without this field, all those behind a terminator as one.
    """

    trusted: tuple[str, ...] = ()
    header: str = "client-cert"
    format: Literal["rfc9440", "pem", "xfcc"] = "rfc9440"
    address_header: Annotated[str, Field(pattern=r"^[a-z0-9-]*$")] = ""


class CompatibilitySettings(Section):
    """Deviations that clients of other servers need. All are off.

    - `wso2_x5t_sha256`: introspection gives the certificate's thumbprint under the old name of WSO2 Identity
      Server, ``x5t#SHA256``, beside ``x5t#S256``.
    """

    wso2_x5t_sha256: bool = False

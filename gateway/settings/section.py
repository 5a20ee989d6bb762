"""What every section is, and the kinds of values that several have."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from gateway.fetching import parse_inner_network
from gateway.proofs.target_uri import Origins, TargetUriError

_LARGEST_PORT = 65_535
_PORT = re.compile(r"[0-9]{1,5}")


class Section(BaseModel):
    """A table of the file. An unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _host_and_port(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or not _PORT.fullmatch(port) or int(port) > _LARGEST_PORT:
        raise ValueError("write it as host:port, for example 127.0.0.1:50051")
    return value


def _issuer(value: str) -> str:
    if not value.startswith("https://") or "?" in value or "#" in value or value.endswith("/"):
        raise ValueError(
            "an issuer is an https URL without query, fragment or trailing slash (RFC 8414 §2), "
            "for example https://id.example.org"
        )
    return value


def _public_url(value: str) -> str:
    try:
        Origins.parse((value,))
    except TargetUriError as error:
        raise ValueError(f"{error}; write https://host or https://host:port") from error
    if value.endswith("/"):
        raise ValueError("leave the slash at the end out")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"{error}; write an address or a network, such as 192.0.2.0/24") from error


def _inner_network(value: str) -> str:
    parse_inner_network(value)
    return value


Network = Annotated[str, AfterValidator(_network)]
"""A network in CIDR form, or one address."""
InnerNetwork = Annotated[str, AfterValidator(_inner_network)]
"""A private network in CIDR form, ``10.0.0.0/8``."""
Address = Annotated[str, AfterValidator(_host_and_port)]
OptionalAddress = Annotated[str, AfterValidator(lambda value: _host_and_port(value) if value else value)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Issuer = Annotated[str, AfterValidator(_issuer)]

"""Which hosts of one's own clients may publish their keys at."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from gateway.settings.section import InnerNetwork, Section


class ClientKeySettings(Section):
    """Where a client's `jwks_uri` may lead. By default it must have a public address.

    - `hosts`: names of hosts in networks of one's own; only these may have an address there.
    - `networks`: private networks (``10.0.0.0/8``) in which those hosts are.
    - `ca`: PEM file of further roots, for those hosts and no others.
    """

    hosts: tuple[str, ...] = ()
    networks: tuple[InnerNetwork, ...] = ()
    ca: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.hosts) != bool(self.networks):
            raise ValueError("hosts and networks go together; set both or neither")
        if self.ca is not None and not self.hosts:
            raise ValueError("ca is for hosts in networks of your own; name them")
        return self

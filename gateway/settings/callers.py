"""Who may call what."""

from typing import Self

from pydantic import model_validator

from gateway.principal import Role
from gateway.settings.section import Section


class CallerSettings(Section):
    """Gives roles to whoever presents one certificate name or a token of one client.

    - `subject_dn`, `san_dns`, `san_uri`, `san_ip`, `san_email`, `client_id`: exactly one; a subject is
      written as in RFC 4514, a SPIFFE ID is a `san_uri`.
    - `roles`: any of admin, auditor, client, enroller, login, resource-server, verifier.
    - `resources`: identifiers for which a resource-server may introspect.
    """

    subject_dn: str | None = None
    san_dns: str | None = None
    san_uri: str | None = None
    san_ip: str | None = None
    san_email: str | None = None
    client_id: str | None = None
    roles: tuple[Role, ...]
    resources: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        names = (self.subject_dn, self.san_dns, self.san_uri, self.san_ip, self.san_email, self.client_id)
        if sum(name is not None for name in names) != 1:
            raise ValueError(
                "name the caller by exactly one of subject_dn, san_dns, san_uri, san_ip, san_email, client_id"
            )
        if self.resources and Role.RESOURCE_SERVER not in self.roles:
            raise ValueError("resources are for callers with the role resource-server; add the role")
        return self

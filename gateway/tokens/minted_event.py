"""What the audit log keeps of an access token: all that it says, and nothing by which it could be used."""

from gateway.audit.events import TokenMinted
from gateway.tokens.client import AccessTokenFormat, GrantType
from gateway.tokens.terms import TokenTerms


def minted_event(
    terms: TokenTerms, token_id: str, expire_time: int, form: AccessTokenFormat, grant_type: GrantType
) -> TokenMinted:
    """The event of one token; *expire_time* in seconds since the epoch."""
    binding, actor = terms.binding, terms.actor
    return TokenMinted(
        client_id=terms.client_id,
        subject=terms.subject,
        token_id=token_id,
        format=form.value,
        grant_type=grant_type.value,
        grant_id=terms.grant_id,
        audience=terms.audience,
        scope=terms.scope,
        bound_to=None if binding is None else ":".join(next(iter(binding.confirmation().items()))),
        actor=None if actor is None else actor.subject,
        expire_time=expire_time,
    )

"""Who acts now, as the call under way on this task knows it."""

from gateway.audit.records import NOBODY, Actor
from gateway.principal import call_under_way
from gateway.telemetry.caller import current_caller


def current_actor() -> Actor:
    """The caller of the call under way; of a command, whoever `current_caller` names; else nobody."""
    call = call_under_way.get(None)
    if call is None:
        caller = current_caller.get()
        return Actor(caller) if caller else NOBODY
    certificate = call.certificate
    return Actor(call.principal.name, None if certificate is None else certificate.x5t_s256, call.request_id)

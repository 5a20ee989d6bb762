"""What ``countersign doctor`` says of traces: whether they can be made, and the collector takes them."""

from typing import Final

from gateway.cli.findings import Finding
from gateway.config import ConfigurationError, Settings
from gateway.wiring.tracing_extra import collector_takes_spans

_SUBJECT: Final = "tracing"
_PATIENCE: Final = 5.0
"""Seconds for the collector; the configuration may leave it more."""


async def tracing_findings(settings: Settings) -> list[Finding]:
    """Nothing where tracing is off. A collector that is away is no reason to fail: it stops no call."""
    tracing = settings.tracing
    if not tracing.enabled:
        return []
    patient = tracing.model_copy(update={"timeout": min(tracing.timeout, _PATIENCE)})
    try:
        taken = await collector_takes_spans(settings.model_copy(update={"tracing": patient}))
    except ConfigurationError as error:
        return [Finding(_SUBJECT, str(error), "the gateway does not start like this; do what it says")]
    if taken:
        return [Finding(_SUBJECT, f"the collector at {tracing.endpoint} takes spans")]
    return [
        Finding(
            _SUBJECT,
            f"the collector at {tracing.endpoint} takes no spans within {patient.timeout:g} s",
            f"see that it runs, speaks OTLP over {tracing.protocol} there, "
            "has a certificate by tracing.ca, and accepts the headers of tracing.headers_file",
            fatal=False,
        )
    ]

"""Further roots for hosts in networks of one's own, from the files that the configuration names."""

from pathlib import Path

from gateway.config import ConfigurationError, Settings


def read_roots(settings: Settings, file: Path | None, field: str) -> str | None:
    """The PEM text of *file*, which *field* of the configuration names; None where it names none.

    Raises `ConfigurationError`.
    """
    if file is None:
        return None
    path = settings.path(file)
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{field}: {path} cannot be read: {error}; name a PEM file of roots."
        ) from error

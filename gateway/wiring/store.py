"""The store from the configuration: where the database is, and how it is used."""

from urllib.parse import quote, urlsplit, urlunsplit

from gateway.config import ConfigurationError, Settings
from gateway.proofs.dpop import REPLAY_KIND as DPOP_REPLAY_KIND
from gateway.store import StoreOptions
from gateway.tokens.client_assertion import REPLAY_KIND as CLIENT_ASSERTION_KIND


def store_url(settings: Settings) -> str:
    """The database URL: a relative SQLite file is taken from the configuration's folder, and a PostgreSQL
    password from `password_file`. Raises `ConfigurationError` where that cannot be read.
    """
    url = settings.store.url
    relative = url.removeprefix("sqlite:///")
    if relative != url:
        return url if relative.startswith("/") else f"sqlite:///{settings.base_dir.absolute() / relative}"
    if settings.store.password_file is None:
        return url
    path = settings.path(settings.store.password_file)
    try:
        password = path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"store.password_file: {path} cannot be read: {error}; name a readable text file."
        ) from error
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or ":" in user:
        raise ConfigurationError(
            "store.url: name the user in it and no password: the password comes from password_file."
        )
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def store_options(settings: Settings) -> StoreOptions:
    """The store's options."""
    store = settings.store
    return StoreOptions(
        pool_max_size=store.pool_size,
        command_timeout=store.timeout,
        write_timeout=store.timeout,
        prepared_statements=store.statement_cache,
        single_use_lifetimes=_single_use_lifetimes(settings),
        notifications=store.notify,
    )


def _single_use_lifetimes(settings: Settings) -> dict[str, float]:
    """How long what works once can be used, counted from the first moment at which it can have been.

    With both clocks off by all that is allowed: a proof of a clock that is ahead, kept by one that is behind.
    """
    tokens, skew = settings.tokens, 2 * settings.tokens.clock_skew
    lifetimes = {
        DPOP_REPLAY_KIND: tokens.dpop_window + skew,
        CLIENT_ASSERTION_KIND: tokens.assertion_max_lifetime + skew,
    }
    return {kind: float(seconds) for kind, seconds in lifetimes.items()}

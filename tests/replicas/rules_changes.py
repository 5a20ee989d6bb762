"""What must hold of changes that every replica has to hear of: keys, and revocations that are watched."""

from collections.abc import Iterator
from itertools import pairwise

from tests.replicas.history import History, Kind, Outcome
from tests.replicas.verdict import KEY_LAG, Violation


def keys_follow(history: History) -> Iterator[Violation]:
    """After a rotation each replica soon has that key, or a later one; a disabled one signs no more."""
    rotations = sorted(history.of(Kind.ROTATE_KEY), key=lambda each: each.began)
    acknowledged = [each for each in rotations if each.outcome is Outcome.OK]
    for seen in history.of(Kind.ACTIVE_KEY):
        if seen.outcome is not Outcome.OK:
            continue
        before = [each for each in acknowledged if each.ended + KEY_LAG < seen.began]
        if not before:
            continue
        since = before[-1].began
        allowed = {each.subject for each in rotations if since <= each.began < seen.ended}
        if seen.told[0] not in allowed:
            yield Violation("keys", seen.told[0], "an earlier key is active", (*acknowledged, seen))
    disabled = {each.subject: each for each in history.of(Kind.DISABLE_KEY) if each.outcome is Outcome.OK}
    for token in history.tokens.values():
        end = disabled.get(token.key_id)
        if end is not None and end.ended + KEY_LAG < token.began:
            yield Violation("keys", token.key_id, f"signed token {token.token_id} after its end", (end,))


def watchers_agree(history: History) -> Iterator[Violation]:
    """Every watcher is told of every acknowledged revocation, once, and all in the same order."""
    seen: dict[int, list[str]] = {watcher: [] for watcher in history.watchers}
    for sight in history.sights:
        if sight.watcher in seen:
            seen[sight.watcher].append(sight.subject)
    revoked = history.revoked()
    for watcher, subjects in seen.items():
        known = set(subjects)
        if len(known) < len(subjects):
            twice = next(each for each in known if subjects.count(each) > 1)
            yield Violation("watchers", twice, f"watcher {watcher} was told twice")
        for missing in sorted(revoked - known):
            evidence = tuple(history.about(missing))
            yield Violation("watchers", missing, f"watcher {watcher} was not told", evidence)
    for (one, first), (two, second) in pairwise(seen.items()):
        both = set(first) & set(second)
        if [each for each in dict.fromkeys(first) if each in both] != [
            each for each in dict.fromkeys(second) if each in both
        ]:
            yield Violation("watchers", f"{one} and {two}", "told in another order")

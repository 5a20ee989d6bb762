"""What must hold of certificates and of the lists of those that were revoked."""

from collections import defaultdict
from collections.abc import Iterator

from tests.replicas.history import History, Kind, Outcome
from tests.replicas.verdict import Violation


def certificates_are_single(history: History) -> Iterator[Violation]:
    """An order has one certificate, of one order; a certificate has one content and its own serial number."""
    names: dict[str, set[str]] = defaultdict(set)
    orders: dict[str, set[str]] = defaultdict(set)
    contents: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    serials: dict[str, set[str]] = defaultdict(set)
    for attempt in history.attempts:
        if attempt.outcome is not Outcome.OK:
            continue
        if attempt.kind is Kind.FINALIZE:
            names[attempt.subject].update(attempt.told)
            orders[attempt.told[0]].add(attempt.subject)
        elif attempt.kind is Kind.CERTIFICATE:
            contents[attempt.subject].add(attempt.told)
            serials[attempt.told[1]].add(attempt.subject)
    for what, found in (
        ("certificates of one order", names),
        ("orders of one certificate", orders),
        ("contents of one certificate", contents),
        ("certificates with one serial number", serials),
    ):
        for subject, values in found.items():
            if len(values) > 1:
                yield Violation(
                    "certificates", subject, f"{len(values)} {what}", tuple(history.about(subject))
                )
    asked = {attempt.subject for attempt in history.of(Kind.FINALIZE)}
    for order in sorted(asked - names.keys()):
        yield Violation("certificates", order, "no certificate in the end", tuple(history.about(order)))


def lists_go_forward(history: History) -> Iterator[Violation]:
    """A later list has no lower number, a number has one content, and on it is only what somebody revoked."""
    contents: dict[str, str] = {}
    serials = {each.told[1]: each.subject for each in history.of(Kind.CERTIFICATE) if each.told}
    revoked = history.by_subject(Kind.REVOKE_CERTIFICATE)
    newest = 0
    told = [each for each in history.of(Kind.CRL) if each.outcome is Outcome.OK]
    ended = sorted(told, key=lambda each: each.ended)
    position = 0
    for attempt in sorted(told, key=lambda each: each.began):
        while ended[position].ended < attempt.began:
            newest = max(newest, int(ended[position].told[0]))
            position += 1
        number, content, *listed = attempt.told
        if int(number) < newest:
            yield Violation("lists", number, f"told after number {newest}", (attempt,))
        if contents.setdefault(number, content) != content:
            yield Violation("lists", number, "another content under the same number", (attempt,))
        for serial in listed:
            name = serials.get(serial, "")
            if not any(each.began < attempt.ended for each in revoked.get(name, ())):
                yield Violation("lists", serial, "listed though nobody revoked it", (attempt,))

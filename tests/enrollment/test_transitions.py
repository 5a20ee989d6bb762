"""The state machine: every legal step, and a refusal of every other."""

from dataclasses import replace

import pytest

from gateway.enrollment import transitions
from gateway.enrollment.model import (
    AuthorizationStatus,
    ChallengeStatus,
    ChallengeType,
    OrderStatus,
    Problem,
)
from gateway.enrollment.transitions import TransitionError, Verdict
from tests.support.orders import authorization, order, ready
from tests.support.stores import NOW

GOOD = Verdict(evidence={"name": "Alice"})
BAD = Verdict(Problem("rejectedIdentifier", "no"))
WIRE = (ChallengeType.WIRE_OIDC, ChallengeType.WIRE_DPOP)


def answer(subject, position, verdict, *, challenge=0, now=NOW):
    """*subject* after *verdict* on one challenge of the authorization at *position*."""
    part = subject.authorizations[position]
    return transitions.settle(
        subject, part.authorization_id, part.challenges[challenge].challenge_id, verdict, now
    )


def test_one_good_answer_is_enough_where_any_is():
    """An authorization with several ways is valid by one of them, and its order ready."""
    after = answer(order(), 0, GOOD)

    assert after.status is OrderStatus.READY
    assert after.authorizations[0].status is AuthorizationStatus.VALID
    assert [each.status for each in after.authorizations[0].challenges] == [
        ChallengeStatus.VALID,
        ChallengeStatus.PENDING,
    ]


def test_both_answers_are_needed_where_all_are():
    """The first generation's authorization is valid only when both of its challenges are."""
    pending = order(authorization(*WIRE, all_required=True))
    half = answer(pending, 0, GOOD)
    assert (half.status, half.authorizations[0].status) == (OrderStatus.PENDING, AuthorizationStatus.PENDING)

    whole = answer(half, 0, GOOD, challenge=1)

    assert (whole.status, whole.authorizations[0].status) == (OrderStatus.READY, AuthorizationStatus.VALID)


def test_a_bad_answer_after_a_good_one_ends_the_first_generation():
    """With one challenge valid, the failure of the other makes authorization and order invalid."""
    half = answer(order(authorization(*WIRE, all_required=True)), 0, GOOD)

    after = answer(half, 0, BAD, challenge=1)

    assert (after.status, after.authorizations[0].status) == (
        OrderStatus.INVALID,
        AuthorizationStatus.INVALID,
    )
    assert after.error == BAD.error


def test_every_authorization_is_needed():
    """An order is ready when all of its authorizations are valid, and not before."""
    pending = order(authorization(ChallengeType.WIRE_DPOP), authorization(ChallengeType.WIRE_OIDC))
    half = answer(pending, 0, GOOD)
    assert half.status is OrderStatus.PENDING

    assert answer(half, 1, GOOD).status is OrderStatus.READY


def test_a_bad_answer_makes_all_invalid():
    """A failed challenge invalidates its authorization and the order, and says why at each."""
    after = answer(order(), 0, BAD)

    assert after.status is OrderStatus.INVALID
    assert after.authorizations[0].status is AuthorizationStatus.INVALID
    assert after.authorizations[0].challenges[0].error == after.error == BAD.error


def test_a_bad_answer_leaves_no_evidence():
    """What a refused answer claimed is not kept."""
    after = answer(order(), 0, replace(BAD, evidence={"name": "Mallory"}))

    assert not after.authorizations[0].challenges[0].evidence
    assert after.evidence(ChallengeType.HTTP) is None


@pytest.mark.parametrize("verdict", [GOOD, BAD])
def test_a_challenge_is_answered_once(verdict):
    """A second answer to the same challenge is refused, whatever became of the first."""
    after = answer(order(), 0, verdict)

    with pytest.raises(TransitionError) as refused:
        answer(after, 0, GOOD)

    assert refused.value.status == after.authorizations[0].challenges[0].status


def test_no_other_way_after_a_failure():
    """The remaining challenges of an invalid authorization cannot be answered."""
    after = answer(order(), 0, BAD)

    with pytest.raises(TransitionError):
        answer(after, 0, GOOD, challenge=1)


def test_an_unknown_challenge_is_refused():
    """A challenge of another authorization is none of this one's."""
    subject = order(authorization(ChallengeType.HTTP), authorization(ChallengeType.DNS))
    foreign = subject.authorizations[1].challenges[0].challenge_id

    with pytest.raises(TransitionError, match="no such challenge"):
        transitions.settle(subject, subject.authorizations[0].authorization_id, foreign, GOOD, NOW)


@pytest.mark.parametrize("make", [order, lambda: ready(order())], ids=["pending", "ready"])
def test_an_order_expires(make):
    """A pending or ready order is invalid from its expiry on, and not a moment earlier."""
    subject = make()

    assert transitions.as_of(subject, subject.expire_time - 1).status is subject.status
    assert transitions.as_of(subject, subject.expire_time).status is OrderStatus.INVALID


@pytest.mark.parametrize("status", [OrderStatus.PROCESSING, OrderStatus.VALID, OrderStatus.INVALID])
def test_what_is_over_or_under_way_does_not_expire(status):
    """An order whose certificate is under way or made keeps its state."""
    subject = replace(ready(order()), status=status)

    assert transitions.as_of(subject, subject.expire_time + 1).status is status


def test_a_pending_authorization_becomes_invalid_and_a_valid_one_expired():
    """RFC 8555 §7.1.6: time ends the two differently."""
    pending = authorization(ChallengeType.HTTP, expire_time=NOW)
    valid = authorization(ChallengeType.HTTP, expire_time=NOW, status=AuthorizationStatus.VALID)

    after = transitions.as_of(order(pending, valid), NOW)

    assert [each.status for each in after.authorizations] == [
        AuthorizationStatus.INVALID,
        AuthorizationStatus.EXPIRED,
    ]
    assert after.status is OrderStatus.INVALID


def test_an_expired_order_takes_no_answer():
    """An answer that comes after the expiry changes nothing."""
    subject = order()

    with pytest.raises(TransitionError):
        answer(subject, 0, GOOD, now=subject.expire_time)


@pytest.mark.parametrize("shown", [False, True])
def test_a_client_gives_an_authorization_up(shown):
    """A deactivated authorization ends its order, pending or ready."""
    subject = ready(order()) if shown else order()
    part = subject.authorizations[0].authorization_id

    after = transitions.deactivate_authorization(subject, part, NOW)

    assert after.authorizations[0].status is AuthorizationStatus.DEACTIVATED
    assert after.status is OrderStatus.INVALID
    with pytest.raises(TransitionError):
        transitions.deactivate_authorization(after, part, NOW)


def test_a_certificate_is_made_from_ready_only():
    """Ready, processing, valid: in this order and no other."""
    subject = ready(order())
    processing = transitions.begin_issuing(subject, NOW)
    done = transitions.issued(processing, "certificate")

    assert (processing.status, done.status) == (OrderStatus.PROCESSING, OrderStatus.VALID)
    assert done.certificate_id == "certificate"
    for wrong in (order(), processing, done, answer(order(), 0, BAD)):
        with pytest.raises(TransitionError) as refused:
            transitions.begin_issuing(wrong, NOW)
        assert refused.value.status == wrong.status
    for wrong in (order(), subject, done):
        with pytest.raises(TransitionError):
            transitions.issued(wrong, "another")
        with pytest.raises(TransitionError):
            transitions.abandoned(wrong, Problem("badCSR", "no"))


def test_an_expired_order_is_not_finalized():
    """Ready does not last longer than the order."""
    subject = ready(order())

    with pytest.raises(TransitionError) as refused:
        transitions.begin_issuing(subject, subject.expire_time)

    assert refused.value.status == "invalid"


def test_a_certificate_that_cannot_be_made_ends_the_order():
    """The reason stays with the order."""
    after = transitions.abandoned(transitions.begin_issuing(ready(order()), NOW), Problem("badCSR", "no"))

    assert (after.status, after.error) == (OrderStatus.INVALID, Problem("badCSR", "no"))

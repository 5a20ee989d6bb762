"""gateway.proofs.nonces and single_use_nonces: what is handed out, to whom, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proofs.nonces import NonceError, NonceFault, NonceKeys, ServerNonces
from gateway.proofs.single_use_nonces import MAX_LIFETIME, SingleUseNonces
from tests.support.dpop import MemoryReplays

OLD, NEW = b"o" * 32, b"n" * 32
START = 1_900_000_020.0  # The first second of a step of a minute.


class Fixed:
    """A clock that a test sets."""

    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now


def server_nonces(clock=None, *, secrets=(OLD,), space="as"):
    return ServerNonces(secrets, space=space, clock=clock or Fixed())


def single_use(clock=None, *, secrets=(OLD,), space="device", replay=None):
    return SingleUseNonces(
        secrets, space=space, lifetime=300, replay=replay or MemoryReplays(), clock=clock or Fixed()
    )


def fault_of(function, *arguments, **keywords):
    with pytest.raises(NonceError) as caught:
        function(*arguments, **keywords)
    return caught.value.fault


def changed(nonce, position):
    return nonce[:position] + ("A" if nonce[position] != "A" else "B") + nonce[position + 1 :]


class TestServerNonces:
    @pytest.mark.parametrize("steps", [-1, 0, 1, 2])
    def test_a_nonce_is_accepted_by_clocks_one_step_behind_to_two_ahead(self, steps):
        """Steps -2 to +1 of the one who checks; the expiry is the end of the last."""
        clock = Fixed(START + 60 * steps + 59.9)
        assert server_nonces(clock).check(server_nonces().issue()) == START + 180

    @pytest.mark.parametrize(("steps", "fault"), [(-2, NonceFault.UNKNOWN), (3, NonceFault.EXPIRED)])
    def test_a_nonce_of_another_time_is_refused(self, steps, fault):
        """Two steps ahead is from nobody; three steps ago is over."""
        nonce = server_nonces().issue()
        assert fault_of(server_nonces(Fixed(START + 60 * steps)).check, nonce) is fault

    def test_the_expiry_is_the_first_moment_of_refusal(self):
        """What check returns is when check starts to refuse."""
        clock = Fixed(START + 31.5)
        nonces = server_nonces(clock)
        nonce = nonces.issue()
        clock.now = nonces.check(nonce)
        assert fault_of(nonces.check, nonce) is NonceFault.EXPIRED

    def test_a_nonce_of_another_space_secret_or_subject_is_unknown(self):
        """Authorization server and resource server, strangers, and other clients do not share nonces."""
        nonce = server_nonces().issue(subject="alice")
        assert server_nonces().check(nonce, subject="alice")
        for other in (server_nonces(space="rs"), server_nonces(secrets=(NEW,))):
            assert fault_of(other.check, nonce, subject="alice") is NonceFault.UNKNOWN
        for subject in ("bob", ""):
            assert fault_of(server_nonces().check, nonce, subject=subject) is NonceFault.UNKNOWN

    def test_rotation_refuses_nobody(self):
        """The first secret issues, all verify; a dropped one does not."""
        before, during = server_nonces(), server_nonces(secrets=(NEW, OLD))
        after = server_nonces(secrets=(NEW,))
        assert during.check(before.issue())
        assert after.check(during.issue())
        assert fault_of(after.check, before.issue()) is NonceFault.UNKNOWN

    def test_replicas_agree(self):
        """Two replicas with one secret hand out the same nonce in the same step, and another in the next."""
        assert server_nonces().issue() == server_nonces(Fixed(START + 59)).issue()
        assert server_nonces().issue() != server_nonces(Fixed(START + 60)).issue()

    @pytest.mark.parametrize("position", range(32))
    def test_a_changed_character_is_refused(self, position):
        """Every character counts."""
        nonce = server_nonces().issue()
        assert fault_of(server_nonces().check, changed(nonce, position))

    @given(st.text(max_size=70))
    def test_any_text_is_refused_with_a_fault(self, text):
        """Whatever is sent, the answer is a NonceError and nothing else."""
        assert fault_of(server_nonces().check, text) is NonceFault.UNKNOWN
        assert fault_of(single_use().check, text, subject=text) is NonceFault.UNKNOWN

    def test_a_nonce_is_of_characters_that_a_header_may_carry(self):
        """RFC 9449 §8.1: NQCHAR; here base64url."""
        for nonce, size in ((server_nonces().issue(), 32), (single_use().issue(subject="a"), 60)):
            assert len(nonce) == size
            assert set(nonce) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class TestSingleUseNonces:
    async def test_a_nonce_works_once(self):
        """The second use is told apart from a forgery."""
        nonces = single_use()
        nonce = nonces.issue(subject="alice")
        await nonces.use(nonce, subject="alice")
        with pytest.raises(NonceError) as caught:
            await nonces.use(nonce, subject="alice")
        assert caught.value.fault is NonceFault.USED

    async def test_a_use_is_remembered_past_the_expiry(self):
        """A replica whose clock is behind would accept the nonce a little longer."""
        replay = MemoryReplays()
        nonces = single_use(replay=replay)
        await nonces.use(nonces.issue(subject="alice"), subject="alice")
        assert replay.used[0][2] == START + 300 + 60

    async def test_a_used_up_nonce_of_one_secret_stays_used_after_rotation(self):
        """What identifies a use is the nonce, not the secret."""
        replay = MemoryReplays()
        before, during = single_use(replay=replay), single_use(secrets=(NEW, OLD), replay=replay)
        nonce = before.issue(subject="alice")
        await during.use(nonce, subject="alice")
        with pytest.raises(NonceError) as caught:
            await before.use(nonce, subject="alice")
        assert caught.value.fault is NonceFault.USED

    def test_no_two_nonces_are_alike(self):
        """In one moment, for one subject."""
        nonces = single_use()
        assert len({nonces.issue(subject="alice") for _ in range(100)}) == 100

    def test_a_nonce_of_another_space_secret_or_subject_is_unknown(self):
        """Each is bound to its use, its server and its client."""
        nonce = single_use().issue(subject="alice")
        assert single_use().check(nonce, subject="alice") == START + 300
        for other in (single_use(space="acme"), single_use(secrets=(NEW,))):
            assert fault_of(other.check, nonce, subject="alice") is NonceFault.UNKNOWN
        assert fault_of(single_use().check, nonce, subject="alic") is NonceFault.UNKNOWN

    @pytest.mark.parametrize("position", range(60))
    def test_a_changed_character_is_refused(self, position):
        """Also one of the expiry: nobody prolongs a nonce."""
        nonce = single_use().issue(subject="alice")
        assert fault_of(single_use().check, changed(nonce, position), subject="alice") is NonceFault.UNKNOWN


class TestConfiguration:
    @pytest.mark.parametrize("secrets", [[], [b"short"], [OLD, b""]])
    def test_a_missing_or_short_secret_is_refused(self, secrets):
        """Every secret has 32 octets, also one that only verifies."""
        with pytest.raises(ValueError, match="secret"):
            NonceKeys(secrets, construction="steps", space="as")

    def test_a_space_has_a_name(self):
        """Without one, two uses could share their nonces by accident."""
        with pytest.raises(ValueError, match="space"):
            server_nonces(space="")

    @pytest.mark.parametrize("lifetime", [0, -1, MAX_LIFETIME + 1])
    def test_a_lifetime_is_bounded(self, lifetime):
        """Rows of used nonces live as long."""
        with pytest.raises(ValueError, match="lifetime"):
            SingleUseNonces([OLD], space="x", lifetime=lifetime, replay=MemoryReplays(), clock=Fixed())

    def test_a_step_is_at_least_a_second(self):
        """A step of nothing has no number."""
        with pytest.raises(ValueError, match="step"):
            ServerNonces([OLD], space="x", clock=Fixed(), step=0)

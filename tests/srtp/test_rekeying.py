"""When an SDES key stays and when it is renewed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from softphone.errors import LocalProtocolError
from softphone.events import Direction
from softphone.sans_io import Address
from softphone.sdp import Crypto, CryptoLine
from softphone.security import DEFAULT_SUITES, CryptoSuite
from softphone.srtp import (
    SdesAgreement,
    SdesNegotiation,
    make_crypto_answer,
    make_crypto_offer,
    same_key,
)

SUITES = DEFAULT_SUITES
HERE, THERE, HOLD = ("192.0.2.1", 4000), ("198.51.100.1", 6000), ("0.0.0.0", 6000)
SENDRECV, INACTIVE = Direction.SENDRECV, Direction.INACTIVE


def connected(entropy, *, suites=SUITES) -> tuple[SdesNegotiation, SdesNegotiation]:
    """Two plans after alice has called bob."""
    alice, bob = SdesNegotiation(suites, entropy=entropy), SdesNegotiation(SUITES, entropy=entropy)
    exchange(alice, bob)
    return alice, bob


def answer(
    plan: SdesNegotiation, lines: Sequence[CryptoLine], *, remote: Address, direction: Direction
) -> SdesAgreement:
    """Answer the line that the side itself chooses."""
    return plan.make_answer(plan.choose_line(lines), remote=remote, direction=direction)


def exchange(
    alice: SdesNegotiation, bob: SdesNegotiation, *, at=HERE, direction=SENDRECV, full=False
) -> tuple[SdesAgreement, SdesAgreement]:
    """Alice offers from `at`, bob answers; the agreements of each."""
    offered = alice.make_offer(full=full, direction=direction)
    theirs = answer(bob, offered, remote=at, direction=direction)
    bob.commit()
    ours = alice.apply_answer([theirs.local], remote=THERE, direction=direction)
    assert isinstance(ours, SdesAgreement)
    return ours, theirs


def reoffered(line: Crypto, entropy) -> Crypto:
    return make_crypto_answer(line, entropy=entropy)


def test_the_first_exchange_renews_both_keys(entropy):
    alice, bob = SdesNegotiation(SUITES, entropy=entropy), SdesNegotiation(SUITES, entropy=entropy)
    assert alice.current is None
    ours, theirs = exchange(alice, bob)
    assert ours.suite is theirs.suite is CryptoSuite.AEAD_AES_256_GCM
    assert ours.send_key.reveal() == theirs.receive_key.reveal()
    assert ours.receive_key.reveal() == theirs.send_key.reveal()
    assert ours.send_renewed
    assert ours.receive_renewed
    assert theirs.send_renewed
    assert theirs.receive_renewed
    assert alice.current == ours


def test_a_session_refresh_changes_no_key_and_offers_the_active_suite_alone(entropy):
    alice, bob = connected(entropy)
    before = alice.current
    (offered,) = alice.make_offer()
    assert offered == before.local
    alice.rollback()
    ours, theirs = exchange(alice, bob)
    assert not any(
        (ours.send_renewed, ours.receive_renewed, theirs.send_renewed, theirs.receive_renewed)
    )


def test_whoever_answered_first_re_offers_its_own_active_key(entropy):
    alice, bob = connected(entropy)
    ours, theirs = exchange(bob, alice, at=THERE)
    assert not any((ours.send_renewed, ours.receive_renewed, theirs.send_renewed))


def test_another_suite_that_is_to_be_used_makes_a_fresh_offer_of_it_alone(entropy):
    alice, bob = connected(entropy)
    before = alice.current
    music = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    alice.set_suites((music,))
    ours, theirs = exchange(alice, bob)
    assert ours.suite is theirs.suite is music
    assert all((ours.send_renewed, ours.receive_renewed, theirs.send_renewed))
    alice.set_suites((before.suite,))
    back, _ = exchange(alice, bob)
    assert back.suite is before.suite
    assert not same_key(back.local, before.local)


def test_a_full_offer_lists_the_other_suites_behind_the_active_one(entropy):
    alice, _ = connected(entropy, suites=SUITES[2:])
    lines = alice.make_offer(full=True)
    assert [line.suite_name for line in lines] == [suite.value for suite in SUITES[2:]]
    assert lines[0] == alice.current.local
    assert len({line.tag for line in lines}) == len(lines)


def test_a_full_offer_never_uses_the_active_tag_twice(entropy):
    plan = SdesNegotiation(SUITES, entropy=entropy)
    (third,) = [line for line in make_crypto_offer(SUITES, entropy=entropy) if line.tag == 3]
    answer(plan, [third], remote=HERE, direction=SENDRECV)
    plan.commit()
    assert sorted(line.tag for line in plan.make_offer(full=True)) == [1, 2, 3, 4]
    far = SdesNegotiation(SUITES, entropy=entropy)
    answer(far, [replace(third, tag=900)], remote=HERE, direction=SENDRECV)
    far.commit()
    assert sorted(line.tag for line in far.make_offer(full=True)) == [1, 2, 3, 900]
    lonely = SdesNegotiation(SUITES[:1], entropy=entropy)
    exchange(lonely, SdesNegotiation(SUITES, entropy=entropy))
    assert len(lonely.make_offer(full=True)) == 1


def test_another_far_end_may_choose_another_suite_of_a_full_offer(entropy):
    alice, _ = connected(entropy)
    stranger = SdesNegotiation(SUITES[3:], entropy=entropy)
    ours, _ = exchange(alice, stranger, full=True)
    assert ours.suite is CryptoSuite.AES_CM_128_HMAC_SHA1_32
    assert ours.send_renewed
    assert ours.receive_renewed


@pytest.mark.parametrize("direction", [Direction.SENDONLY, Direction.RECVONLY])
def test_hold_keeps_every_key(entropy, direction):
    alice, bob = connected(entropy)
    ours, theirs = exchange(alice, bob, direction=direction)
    assert not ours.send_renewed
    assert not theirs.send_renewed


def test_the_old_hold_and_its_end_keep_every_key(entropy):
    alice, bob = connected(entropy)
    for at in (HOLD, HERE):
        _, theirs = exchange(alice, bob, at=at)
        assert not theirs.send_renewed


def test_another_media_address_renews_the_answerers_key(entropy):
    alice, bob = connected(entropy)
    ours, theirs = exchange(alice, bob, at=("203.0.113.5", 4000))
    assert theirs.send_renewed
    assert not theirs.receive_renewed
    assert ours.receive_renewed
    assert not ours.send_renewed


def test_every_move_renews_the_answerers_key_and_hold_is_none(entropy):
    alice, bob = connected(entropy)
    for at in (THERE, HERE, THERE):
        assert exchange(alice, bob, at=at)[1].send_renewed
        assert not exchange(alice, bob, at=HOLD)[1].send_renewed
        assert not exchange(alice, bob, at=at)[1].send_renewed


def test_a_call_may_begin_on_hold(entropy):
    alice, bob = (SdesNegotiation(SUITES, entropy=entropy) for _ in range(2))
    assert exchange(alice, bob, at=HOLD)[1].send_renewed


def test_another_media_port_is_another_address(entropy):
    alice, bob = connected(entropy)
    _, theirs = exchange(alice, bob, at=(HERE[0], 4002))
    assert theirs.send_renewed


def test_a_stream_that_leaves_inactive_gets_fresh_keys(entropy):
    alice, bob = connected(entropy)
    ours, theirs = exchange(alice, bob, direction=INACTIVE)
    assert not ours.send_renewed
    assert not theirs.send_renewed
    ours, theirs = exchange(alice, bob, direction=INACTIVE)
    assert not ours.send_renewed
    assert not theirs.send_renewed
    ours, theirs = exchange(alice, bob)
    assert ours.send_renewed
    assert theirs.send_renewed
    assert ours.receive_renewed
    assert theirs.receive_renewed


def test_a_new_remote_key_renews_the_receive_context_alone(entropy):
    alice, bob = connected(entropy)
    fresh = reoffered(alice.current.local, entropy)
    theirs = answer(bob, [fresh], remote=HERE, direction=SENDRECV)
    assert theirs.receive_renewed
    assert not theirs.send_renewed


def test_the_active_suite_is_kept_while_it_is_offered(entropy):
    _, bob = connected(entropy, suites=SUITES[2:])
    lines = make_crypto_offer(SUITES, entropy=entropy)
    theirs = answer(bob, lines, remote=HERE, direction=SENDRECV)
    assert theirs.suite is CryptoSuite.AES_CM_128_HMAC_SHA1_80
    assert not theirs.send_renewed
    assert theirs.local.tag == 3


@pytest.mark.parametrize("remote", [None, HERE, HOLD])
def test_an_offer_from_where_the_far_end_is_keeps_the_suite(entropy, remote):
    _, bob = connected(entropy, suites=SUITES[2:])
    lines = make_crypto_offer(SUITES, entropy=entropy)
    assert bob.choose_line(lines, remote=remote).suite is SUITES[2]


def test_another_party_is_answered_by_our_order(entropy):
    """A music source that was heard on hold leaves no weaker suite behind."""
    _, bob = connected(entropy, suites=SUITES[2:])
    lines = make_crypto_offer(SUITES, entropy=entropy)
    elsewhere = ("203.0.113.9", 4000)
    assert bob.choose_line(lines, remote=elsewhere).suite is SUITES[0]
    moved = replace(bob.current.remote, tag=9)
    assert bob.choose_line([*lines, moved], remote=elsewhere).suite is SUITES[2], "by its key"


def test_a_key_that_another_kind_of_media_has_as_well_is_refused(entropy):
    alice, bob = connected(entropy)
    again = reoffered(alice.current.local, entropy)
    refusals = bob.choose_line([again], [again]).refusals
    assert [refusal.code for refusal in refusals] == ["key_shared"]
    offered = alice.make_offer()
    answered = reoffered(offered[0], entropy)
    refusals = alice.apply_answer(
        [answered], remote=THERE, direction=SENDRECV, others=[replace(answered, tag=7)]
    )
    assert [refusal.code for refusal in refusals] == ["key_shared"]


def test_our_order_decides_the_first_time(entropy):
    plan = SdesNegotiation(SUITES, entropy=entropy)
    offered = make_crypto_offer(SUITES[::-1], entropy=entropy)
    assert answer(plan, offered, remote=HERE, direction=SENDRECV).suite is SUITES[0]


def test_the_answer_to_our_delayed_offer_changes_no_key_that_we_printed(entropy):
    """INVITE without SDP: our 200 offers, the ACK answers (RFC 3261 section 13.2.1)."""
    _alice, bob = connected(entropy)
    offered = bob.make_offer(full=True)
    answer = make_crypto_answer(offered[0], entropy=entropy)
    result = bob.apply_answer([answer], remote=("203.0.113.9", 9), direction=SENDRECV)
    assert not result.send_renewed
    assert result.receive_renewed
    assert same_key(result.local, offered[0])


def test_an_offer_that_sends_our_own_key_back_is_refused(entropy):
    _, bob = connected(entropy)
    before = bob.current
    refusals = bob.choose_line([bob.current.local]).refusals
    assert [refusal.code for refusal in refusals] == ["key_reflected"]
    assert bob.current == before


def test_an_answer_repeats_the_digits_of_each_offer(entropy):
    alice, bob = connected(entropy)
    for digits in ("0", "007", "7"):
        offered = replace(alice.current.local, tag=int(digits), tag_digits=digits)
        result = answer(bob, [offered], remote=HERE, direction=SENDRECV)
        bob.commit()
        assert result.local.to_wire().split()[0] == digits
        assert not result.send_renewed
    (repeated,) = bob.make_offer()
    assert repeated.to_wire().split()[0] == "7"


def test_a_refused_exchange_changes_nothing(entropy):
    alice, bob = connected(entropy)
    before = alice.current, bob.current
    offered = alice.make_offer(full=True)
    result = answer(bob, offered, remote=("203.0.113.5", 1), direction=SENDRECV)
    alice.apply_answer([result.local], remote=THERE, direction=SENDRECV, final=False)
    alice.rollback()
    bob.rollback()
    assert (alice.current, bob.current) == before
    with pytest.raises(LocalProtocolError):
        bob.commit()
    with pytest.raises(LocalProtocolError):
        alice.apply_answer([result.local], remote=THERE, direction=SENDRECV)


def test_refusals_are_given_back_and_change_nothing(entropy):
    alice, bob = (
        SdesNegotiation(SUITES[:1], entropy=entropy),
        SdesNegotiation(SUITES[1:], entropy=entropy),
    )
    refusals = bob.choose_line(alice.make_offer()).refusals
    assert [refusal.code for refusal in refusals] == ["suite_not_allowed"]
    refusals = alice.apply_answer([], remote=THERE, direction=SENDRECV)
    assert [refusal.code for refusal in refusals] == ["no_line"]
    assert alice.current is bob.current is None


def test_an_early_answer_may_be_followed_by_that_of_another_fork(entropy):
    alice = SdesNegotiation(SUITES, entropy=entropy)
    offered = alice.make_offer()
    forks = [make_crypto_answer(offered[1], entropy=entropy) for _ in range(2)]
    early = alice.apply_answer([forks[0]], remote=THERE, direction=SENDRECV, final=False)
    same = alice.apply_answer([forks[0]], remote=THERE, direction=SENDRECV, final=False)
    final = alice.apply_answer([forks[1]], remote=HERE, direction=SENDRECV)
    assert early.send_renewed
    assert not same.send_renewed
    assert not same.receive_renewed
    assert not final.send_renewed
    assert final.receive_renewed
    with pytest.raises(LocalProtocolError):
        alice.apply_answer([forks[1]], remote=HERE, direction=SENDRECV)


def test_a_time_in_clear_forgets_the_keys(entropy):
    alice, bob = connected(entropy)
    before = alice.current
    alice.clear()
    assert alice.current is None
    ours, _ = exchange(alice, bob)
    assert ours.send_renewed
    assert not same_key(ours.local, before.local)


def test_no_representation_shows_a_key(entropy):
    alice, _ = connected(entropy)
    wire = alice.current.local.to_wire()
    secret = wire[wire.index("inline:") + 7 :]
    assert secret not in repr(alice.current)

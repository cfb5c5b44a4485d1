"""100rel: the two ends by themselves (RFC 3262); on the wire in test_invite_*.py."""

from __future__ import annotations

from softphone.sans_io import Timers
from softphone.sip.dialog import Dialog
from softphone.sip.invite.invite_dialog import InviteDialog, OfferAnswerExchange
from softphone.sip.invite.prack import MAXIMUM_QUEUED, ReliableSender, accept_rseq
from softphone.sip.message import RAck, Response, parse_datagram
from tests.support.lone import Lone


class Usage:
    """Keeps what is sent."""

    def __init__(self):
        self.sent, self.failed = [], False

    def send_reliable(self, response, *, now):
        self.sent.append((round(now, 2), response.status))

    def reliable_failed(self, *, now):
        self.failed = True


def sender():
    usage, timers = Usage(), Timers()
    return ReliableSender(server=usage, timers=timers, t1=0.5, first=10, sequence=3), usage, timers


def make(status):
    return lambda rseq: Response(status, f"number {rseq}")


def run(timers, until):
    while (at := timers.next_deadline()) is not None and at <= until:
        owner, name = timers.pop_due(at)
        owner.handle_timer(name, now=at)


def test_it_is_sent_again_with_doubling_gaps_and_given_up_after_64_t1():
    reliable, usage, timers = sender()
    reliable.queue_response(make(183), described=False, now=0)
    run(timers, 31.9)
    assert [at for at, _ in usage.sent] == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert not usage.failed
    run(timers, 33)
    assert usage.failed
    assert timers.next_deadline() is None


def test_the_next_waits_for_the_prack_of_the_one_before():
    reliable, usage, _ = sender()
    reliable.queue_response(make(183), described=False, now=0)
    reliable.queue_response(make(180), described=False, now=0)
    assert [status for _, status in usage.sent] == [183]
    for wrong in (RAck(11, 3, "INVITE"), RAck(10, 4, "INVITE"), RAck(10, 3, "UPDATE")):
        assert not reliable.match_prack(wrong)
    assert reliable.match_prack(RAck(10, 3, "INVITE"))
    assert not reliable.match_prack(RAck(10, 3, "INVITE"))
    reliable.send_next(now=0)
    assert reliable.waiting.reason == "number 11"


def test_what_waits_is_bounded():
    reliable, _, _ = sender()
    verdicts = [
        reliable.queue_response(make(180), described=False, now=0)
        for _ in range(MAXIMUM_QUEUED + 3)
    ]
    assert verdicts.count(True) == MAXIMUM_QUEUED + 1


def test_the_receiver_takes_any_first_number_and_then_only_the_next():
    lone = Lone()
    invite = parse_datagram(lone.request("INVITE").encode())
    leg = InviteDialog(Dialog.from_request(invite, to_tag="t", to=lone.flow), OfferAnswerExchange())
    numbers = (700, 700, 702, 701, 699, 702)
    assert [accept_rseq(leg, number) for number in numbers] == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]

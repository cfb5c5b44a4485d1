"""Each fork has its own dialog, offer/answer exchange and order of reliable responses."""

from __future__ import annotations

from tests.support.lone import SDP, Lone
from tests.support.pair import OFFER, Pair


def test_forks_share_the_offer_and_nothing_else():
    lone = Lone()
    usage = lone.endpoint.invite(Pair().invitation(to=lone.flow), now=lone.now)
    lone.drain()
    invite = lone.last()
    legs = []
    for tag, rseq in (("one", 5), ("two", 900)):
        reliable = ("Require: 100rel", f"RSeq: {rseq}")
        lone.say(lone.response(invite, 183, to_tag=tag, body=SDP, headers=reliable))
        legs.append(usage.leg)
    one, two = legs
    assert (one.last_rseq, two.last_rseq) == (5, 900)
    assert one.offer_answer is not two.offer_answer
    assert one.dialog.id != two.dialog.id
    assert one.local_body == two.local_body == OFFER

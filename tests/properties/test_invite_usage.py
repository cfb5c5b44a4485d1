"""Any commands and any messages in any order: nothing raises but LocalProtocolError, all ends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.errors import LocalProtocolError
from softphone.sans_io import Transport
from softphone.sip.invite import InviteState, InviteUsage
from softphone.sip.message import NameAddr
from tests.support.link import LinkQuality
from tests.support.pair import ANSWER, OFFER, OFFER_2, Pair

TARGET = NameAddr.parse("<sip:carol@192.0.2.3>")
COMMANDS = {
    "ring": lambda usage, now: usage.send_provisional(now=now),
    "ring reliably": lambda usage, now: usage.send_provisional(
        183, now=now, body=ANSWER, reliable=True
    ),
    "accept": lambda usage, now: usage.accept(ANSWER, now=now),
    "accept with nothing": lambda usage, now: usage.accept(None, now=now),
    "reject": lambda usage, now: usage.reject(486, now=now),
    "redirect": lambda usage, now: usage.redirect([TARGET], now=now),
    "cancel": lambda usage, now: usage.cancel(now=now),
    "acknowledge": lambda usage, now: usage.acknowledge(ANSWER, now=now),
    "prack": lambda usage, now: usage.prack(ANSWER, now=now),
    "reinvite": lambda usage, now: usage.reinvite(OFFER_2, now=now),
    "reinvite with nothing": lambda usage, now: usage.reinvite(None, now=now),
    "update": lambda usage, now: usage.update(OFFER_2, now=now),
    "update with nothing": lambda usage, now: usage.update(None, now=now),
    "answer": lambda usage, now: usage.answer_modification(ANSWER, now=now),
    "reject modification": lambda usage, now: usage.reject_modification(now=now),
    "refer": lambda usage, now: usage.refer(TARGET, now=now),
    "info": lambda usage, now: usage.info(None, now=now),
    "bye": lambda usage, now: usage.bye(now=now),
}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob"]),
        st.sampled_from(sorted(COMMANDS)),
        st.sampled_from([0.0, 0.02, 0.3, 5.0]),
    ),
    max_size=14,
)


def give(usage, command, now):
    """A command that the state does not allow raises, and changes no state."""
    before = usage.state
    try:
        COMMANDS[command](usage, now)
    except LocalProtocolError:
        assert usage.state is before


@settings(max_examples=120, deadline=None)
@given(
    steps=STEPS,
    body=st.sampled_from([OFFER, None]),
    transport=st.sampled_from([Transport.UDP, Transport.TLS]),
    cut=st.integers(0, 30),
    seed=st.integers(0, 3),
)
def test_any_commands_in_any_order_end_well(steps, body, transport, cut, seed):
    pair = Pair(transport=transport, seed=seed, quality=LinkQuality(0.01, 0.02, 0.1, 0.1))
    usages: dict[str, InviteUsage] = {}

    def heard(event):
        if type(event).__name__ == "InviteReceived":
            usages["bob"] = event.usage

    pair.on_event["bob"] = heard
    usages["alice"] = pair.alice.invite(pair.invitation(body=body), now=pair.now)
    pair.run(0.05)
    for i, (side, command, pause) in enumerate(steps):
        if i == cut:
            pair.cut()
            pair.connect()
        if side in usages:
            give(usages[side], command, pair.now)
        pair.run(pause)
    for usage in usages.values():
        if usage.state is not InviteState.TERMINATED:
            give(usage, "bye", pair.now)
    pair.run(4000)
    for machine in (pair.alice, pair.bob):
        assert machine.usages() == ()
        assert len(machine._table) == 0
        assert machine.next_timer() is None
        assert not machine._layer._clients
        assert not machine._layer._servers

"""Several listeners at one tap."""

from __future__ import annotations

from softphone.diagnostics import combine_taps
from softphone.sans_io import Flow, MediaTap, Transport

FLOW = Flow(1, Transport.UDP, ("127.0.0.1", 1), ("127.0.0.1", 2))


class Wire:
    def __init__(self):
        self.heard = []

    def signaling(self, data, *, flow, outgoing, now):
        self.heard.append((data, flow, outgoing, now))

    def datagram(self, data, *, local, remote, outgoing, now):
        self.heard.append((data, local, remote, outgoing, now))


class Clear(Wire):
    def packet(self, data, *, local, remote, outgoing, now):
        self.heard.append(("clear", data))


def speak(tap):
    tap.signaling(b"s", flow=FLOW, outgoing=True, now=1.0)
    tap.datagram(b"d", local=("a", 1), remote=("b", 2), outgoing=False, now=2.0)


def test_none_and_one_are_themselves():
    wire = Wire()
    assert combine_taps() is None
    assert combine_taps(None, None) is None
    assert combine_taps(None, wire) is wire


def test_all_hear_all():
    one, other = Wire(), Wire()
    tap = combine_taps(one, None, other)
    assert not isinstance(tap, MediaTap)
    speak(tap)
    assert (
        one.heard
        == other.heard
        == [
            (b"s", FLOW, True, 1.0),
            (b"d", ("a", 1), ("b", 2), False, 2.0),
        ]
    )


def test_media_in_clear_is_for_those_who_hear_it():
    one, other = Wire(), Clear()
    tap = combine_taps(one, other)
    assert isinstance(tap, MediaTap)
    speak(tap)
    tap.packet(b"p", local=("a", 1), remote=("b", 2), outgoing=False, now=3.0)
    assert len(one.heard) == 2
    assert other.heard[-1] == ("clear", b"p")

"""Public events: frozen, in the past tense, made of plain and of security types only."""

from __future__ import annotations

import dataclasses
import pickle
import typing
from enum import Enum

import pytest

from softphone import events
from softphone.events import (
    AccountEvent,
    CallEnded,
    CallEvent,
    CallState,
    Direction,
    EndedBy,
    Presence,
    RegistrationChanged,
    RegistrationState,
    StreamStatistics,
    TrunkState,
    VoiceQuality,
    WatchedDialog,
    WatchEvent,
)
from softphone.security import IdentityAssurance, SecurityState, Shortfall

ACCOUNT = typing.get_args(AccountEvent)
CALL = typing.get_args(CallEvent)
WATCH = typing.get_args(WatchEvent)
PLAIN = {bool, int, float, str, bytes, type(None)}
CARRIED = PLAIN | {
    IdentityAssurance,
    CallState,
    Direction,
    EndedBy,
    RegistrationState,
    SecurityState,
    Shortfall,
    TrunkState,
}


def members(annotation: object) -> set[object]:
    """The types that a union or a tuple of any length is made of."""
    parts = [part for part in typing.get_args(annotation) if part is not Ellipsis]
    return set().union(*map(members, parts)) if parts else {annotation}


def test_each_event_belongs_to_an_account_a_call_or_a_watch():
    defined = {
        value
        for name, value in vars(events).items()
        if dataclasses.is_dataclass(value) and value.__module__ == events.__name__
    }
    values = {StreamStatistics, VoiceQuality, WatchedDialog, Presence}
    assert defined == {*ACCOUNT, *CALL, *WATCH, *values}
    assert len({*ACCOUNT, *CALL, *WATCH}) == len([*ACCOUNT, *CALL, *WATCH])


@pytest.mark.parametrize("kind", [*ACCOUNT, *CALL, *WATCH, StreamStatistics, VoiceQuality])
def test_an_event_is_frozen_and_holds_plain_and_security_types_only(kind):
    hints = typing.get_type_hints(kind)
    assert kind.__dataclass_params__.frozen
    assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)
    for name, annotation in hints.items():
        assert members(annotation) <= CARRIED | {VoiceQuality, WatchedDialog, Presence}, name


@pytest.mark.parametrize("kind", [*ACCOUNT, *CALL, *WATCH])
def test_an_event_is_told_in_the_past_tense(kind):
    irregular = ("Lost", "Kept", "MessageWaiting", "CallRinging")
    assert kind.__name__.endswith(("ed", *irregular))


def test_every_event_is_exported():
    assert {kind.__name__ for kind in (*ACCOUNT, *CALL, *WATCH)} <= set(events.__all__)


@pytest.mark.parametrize(
    ("direction", "sends", "receives", "other"),
    [
        (Direction.SENDRECV, True, True, Direction.SENDRECV),
        (Direction.SENDONLY, True, False, Direction.RECVONLY),
        (Direction.RECVONLY, False, True, Direction.SENDONLY),
        (Direction.INACTIVE, False, False, Direction.INACTIVE),
    ],
)
def test_a_direction_as_each_side_sees_it(direction, sends, receives, other):
    assert (direction.sends, direction.receives, direction.reversed) == (sends, receives, other)
    assert (other.sends, other.receives) == (receives, sends)
    assert other.reversed is direction


@pytest.mark.parametrize("kind", [CallState, RegistrationState, TrunkState, Direction, EndedBy])
def test_the_values_are_the_names_in_lower_case(kind: type[Enum]):
    assert [member.value for member in kind] == [member.name.lower() for member in kind]


def test_events_are_compared_by_what_they_say_and_can_be_sent_to_another_process():
    ended = CallEnded(EndedBy.REMOTE, 200, "OK")
    assert ended == CallEnded(EndedBy.REMOTE, 200, "OK") != CallEnded(EndedBy.LOCAL)
    changed = RegistrationChanged(RegistrationState.REGISTERED, expires=600.0)
    for event in (ended, changed, StreamStatistics(packets_sent=3, mos=4.4)):
        assert pickle.loads(pickle.dumps(event)) == event


def test_statistics_before_anything_was_heard_know_no_quality():
    nothing = StreamStatistics()
    assert (nothing.mos, nothing.round_trip_time_ms, nothing.remote_fraction_lost) == (None,) * 3
    assert (nothing.packets_sent, nothing.packets_received, nothing.cumulative_lost) == (0, 0, 0)

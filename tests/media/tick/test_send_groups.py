"""The groups of a phase over random lives of its streams: as if they were made from nothing."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from softphone.errors import LocalProtocolError
from softphone.events import Direction
from softphone.media import StreamHandle, StreamSpec
from softphone.media.bank import StreamBank
from softphone.media.tick.send import SendGroup, make_send_groups
from softphone.media.tick.stream_commands import (
    set_direction,
    set_keys,
    set_monitor,
    set_muted,
    set_paused,
    set_source,
)
from softphone.security import CryptoSuite
from tests.support.wire import Station, Tape, Tone, srtp_key

SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80
ROWS = 12


def expected_groups(bank: StreamBank) -> list[dict[str, object]]:
    """What the groups are, row by row from the objects of the streams."""
    members: dict[tuple[object, ...], list[int]] = {}
    for row in bank.sender.sends.nonzero()[0].tolist():
        stream = bank.streams[row]
        spec = stream.spec
        key = stream.codec.name, spec.ptime_ms, spec.send_key is not None
        members.setdefault(key, []).append(row)
    groups = []
    for (codec, ptime_ms, secure), rows in members.items():
        rows.sort(key=lambda row: int(bank.addresses.rtp_port[row]))
        streams = [bank.streams[row] for row in rows]
        silent = [bool(s.paused or bank.sender.muted[s.handle.row]) for s in streams]
        sent = [0 if quiet else s.feed.row for s, quiet in zip(streams, silent, strict=True)]
        read = [
            each
            for stream, first in zip(streams, sent, strict=True)
            for each in ((first,) if stream.paused else (first, stream.feed.row))
        ]
        groups.append(
            {
                "kind": (codec, ptime_ms, secure),
                "rows": rows,
                "sent": sent,
                "read": list(dict.fromkeys(read)),
                "ports": [int(bank.addresses.rtp_port[row]) for row in rows],
                "addresses": [bank.addresses.remote[row].tobytes() for row in rows],
                "suppressing": [s.spec.comfort_noise is not None for s in streams],
                "noise": bank.sender.noise_type[rows].tolist(),
                "monitors": [(s.handle.row, s.monitor) for s in streams if s.monitor],
            }
        )
    return groups


def shown(group: SendGroup) -> dict[str, object]:
    """The same of a group."""
    places = group.places
    assert group.feeds.rows[group.which].tolist() == places.feed.tolist()
    assert [group.rows[group.which == each.at].tolist().count(each.row)
            for each in group.monitored] == [1] * len(group.monitored)  # fmt: skip
    return {
        "kind": (group.codec.name, group.ptime_ms, places.secure),
        "rows": group.rows.tolist(),
        "sent": places.feed.tolist(),
        "read": group.feeds.rows.tolist(),
        "ports": places.port.tolist(),
        "addresses": [each.tobytes() for each in places.address],
        "suppressing": group.suppressing.tolist(),
        "noise": group.noise.tolist(),
        "monitors": [(each.row, each.sink) for each in group.monitored],
    }


class Lives:
    """Streams of one bank that come, change and go by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.station = Station("10.0.0.1", seed=seed, capacity=ROWS)
        self.bank = self.station.bank
        self.open_ones: list[StreamHandle] = []
        self.shared = [Tone(400.0 + at) for at in range(2)]
        self.station.bank.release_row(self.station.handle)

    def step(self) -> None:
        """One change."""
        if len(self.open_ones) < 2 or (self.chance.random() < 0.3 and len(self.bank) < ROWS):
            self.station.handle = self.station.add(2 * self.chance.randrange(2000, 2004))
            self.open_ones.append(self.station.handle)
            self.station.open(self.some_spec())
            return
        handle = self.chance.choice(self.open_ones)
        changes = (
            self.close, self.renegotiate, self.rekey, self.play, self.play, self.mute, self.pause,
            self.hold, self.watch,
        )  # fmt: skip
        with suppress(LocalProtocolError):  # a source that others read at another ptime
            self.chance.choice(changes)(handle)

    def some_spec(self) -> StreamSpec:
        codec, payload_type = self.chance.choice([("PCMU", 0), ("PCMA", 8), ("G722", 9)])
        keys = [srtp_key(SUITE, self.chance.randrange(99)) for _ in range(2)]
        secure = self.chance.random() < 0.5
        return StreamSpec(
            ("10.0.0.2", self.chance.randrange(6000, 6100)),
            codec=codec,
            payload_type=payload_type,
            ptime_ms=self.chance.choice([20, 20, 40]),
            comfort_noise=self.chance.choice([None, 13]),
            send_key=keys[0] if secure else None,
            receive_key=keys[1] if secure else None,
        )

    def close(self, handle: StreamHandle) -> None:
        self.open_ones.remove(handle)
        self.bank.release_row(handle)

    def renegotiate(self, handle: StreamHandle) -> None:
        self.station.handle = handle
        wanted, stream = self.some_spec(), self.bank.find_stream(handle)
        if stream.source is not None:
            # Its tone has one rate.
            wanted = replace(wanted, codec="PCMU", payload_type=0)
        self.station.open(wanted)

    def rekey(self, handle: StreamHandle) -> None:
        keys = [srtp_key(SUITE, self.chance.randrange(99)) for _ in range(2)]
        set_keys(self.bank, handle, *(keys if self.chance.random() < 0.5 else (None, None)), 1)

    def play(self, handle: StreamHandle) -> None:
        sources = [None, Tone(800.0), *self.shared]
        set_source(self.bank, handle, self.chance.choice(sources))

    def mute(self, handle: StreamHandle) -> None:
        set_muted(self.bank, handle, self.chance.random() < 0.5)

    def pause(self, handle: StreamHandle) -> None:
        set_paused(self.bank, handle, self.chance.random() < 0.5)

    def hold(self, handle: StreamHandle) -> None:
        wanted = self.chance.choice([Direction.SENDRECV, Direction.RECVONLY])
        set_direction(self.bank, handle, wanted, now=0.0)

    def watch(self, handle: StreamHandle) -> None:
        set_monitor(self.bank, handle, self.chance.choice([None, Tape()]))


@pytest.mark.parametrize("seed", range(6))
def test_groups_are_as_if_they_were_made_from_the_streams(seed):
    lives = Lives(seed)
    for number in range(150):
        lives.step()
        if number % 3 == 0:
            groups = make_send_groups(lives.bank, 0)
            assert list(map(shown, groups)) == expected_groups(lives.bank)
            assert not lives.bank.changed_rows


def test_a_row_that_sends_unopened_is_refused():
    station = Station("10.0.0.1", seed=1)
    station.bank.sender.set_flow(station.row, True)
    with pytest.raises(RuntimeError, match="without having been opened"):
        make_send_groups(station.bank, 0)


def test_a_chosen_group_has_the_places_of_its_rows():
    lives = Lives(7)
    while not any(len(group.rows) > 2 for group in make_send_groups(lives.bank, 0)):
        lives.step()
    group = max(make_send_groups(lives.bank, 0), key=lambda group: len(group.rows))
    keep = np.arange(len(group.rows)) % 2 == 0
    assert shown(group.select(keep))["ports"] == group.places.port[keep].tolist()
    assert group.select(keep).places.secure is group.places.secure

"""The bridge: every member hears the sum of the others."""

from __future__ import annotations

import numpy as np

from softphone.lab.calls.audio_bridge import AudioBridge
from softphone.media import PcmBlock


def say(ear, value, samples=160):
    ear.write(PcmBlock(np.full(samples, value, np.int16), 8000, 0, 0))


def test_two_members_hear_each_other_and_not_themselves():
    hub = AudioBridge()
    (ear_a, mouth_a), (ear_b, mouth_b) = hub.add_member("a"), hub.add_member("b")
    say(ear_a, 100)
    say(ear_b, 7)
    assert set(mouth_a.read(160)) == {7}
    assert set(mouth_b.read(160)) == {100}


def test_three_members_hear_the_sum_of_the_other_two():
    hub = AudioBridge()
    members = [hub.add_member(name) for name in "abc"]
    for (ear, _), value in zip(members, (1, 10, 100), strict=True):
        say(ear, value)
    assert [int(mouth.read(160)[0]) for _, mouth in members] == [110, 101, 11]


def test_a_loud_sum_is_clipped_and_does_not_wrap():
    hub = AudioBridge()
    members = [hub.add_member(name) for name in "abc"]
    for ear, _ in members:
        say(ear, 30000)
    assert int(members[0][1].read(160)[0]) == 32767


def test_whoever_says_nothing_is_silence():
    hub = AudioBridge()
    hub.add_member("a")
    _, mouth = hub.add_member("b")
    assert mouth.read(160).shape == (160,)
    assert not mouth.read(160).any()
    assert not mouth.ended


def test_who_left_is_neither_heard_nor_written_to():
    hub = AudioBridge()
    (ear_a, mouth_a), (ear_b, _) = hub.add_member("a"), hub.add_member("b")
    say(ear_b, 5)
    hub.remove_member("b")
    hub.remove_member("b")
    assert not mouth_a.read(160).any()
    assert not ear_a.rings


def test_a_listener_that_never_reads_costs_no_more_than_its_ring():
    hub = AudioBridge()
    ear, _ = hub.add_member("a")
    hub.add_member("b")
    for _ in range(100):
        say(ear, 1)
    assert ear.dropped_samples >= 100 * 160 - 8000 * 0.2 - 160

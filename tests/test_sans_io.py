"""The sans-IO contract's own parts: Timers, Flow, Target, Transport."""

from __future__ import annotations

import random
from weakref import ref

from softphone.sans_io import Flow, Target, Timers, Transport


class Owner:
    """What a deadline belongs to."""


def test_timers_give_the_earliest_deadline_first():
    timers: Timers[str] = Timers()
    timers.set("b", 2.0)
    timers.set("a", 1.0)
    timers.set("c", 3.0)
    assert timers.next_deadline() == 1.0
    assert [timers.pop_due(2.5), timers.pop_due(2.5), timers.pop_due(2.5)] == ["a", "b", None]
    assert timers.next_deadline() == 3.0


def test_a_key_has_one_deadline():
    timers: Timers[str] = Timers()
    timers.set("a", 1.0)
    timers.set("a", 5.0)
    assert timers.pop_due(2.0) is None
    assert timers.pop_due(5.0) == "a"
    assert timers.next_deadline() is None


def test_a_canceled_deadline_is_forgotten():
    timers: Timers[str] = Timers()
    timers.set("a", 1.0)
    timers.cancel("a")
    timers.cancel("never set")
    assert timers.next_deadline() is None
    assert "a" not in timers
    assert len(timers) == 0


def test_equal_deadlines_come_in_the_order_they_were_set():
    timers: Timers[object] = Timers()
    keys = [object() for _ in range(20)]
    for key in keys:
        timers.set(key, 1.0)
    assert [timers.pop_due(1.0) for _ in keys] == keys


def test_the_heap_does_not_grow_with_replaced_deadlines():
    timers: Timers[int] = Timers()
    for turn in range(10_000):
        timers.set(turn % 10, float(turn))
    assert len(timers._heap) <= 65


def test_what_a_canceled_deadline_belongs_to_is_let_go_at_once():
    timers: Timers[Owner] = Timers()
    keys = [Owner() for _ in range(3)]
    gone = [ref(key) for key in keys]
    for key in keys:
        timers.set(key, 1e6)
    timers.set(keys[0], 1.0)
    assert timers.pop_due(1.0) is keys[0]
    timers.cancel(keys[1])
    del key, keys
    assert [each() is None for each in gone] == [True, True, False]


def test_timers_agree_with_a_plain_dictionary():
    chance = random.Random(7)
    timers: Timers[int] = Timers()
    model: dict[int, float] = {}
    for _ in range(5_000):
        key = chance.randrange(50)
        if chance.random() < 0.7:
            deadline = chance.random() * 100
            timers.set(key, deadline)
            model[key] = deadline
        else:
            timers.cancel(key)
            model.pop(key, None)
        assert timers.next_deadline() == min(model.values(), default=None)


def test_flows_are_equal_by_id_alone():
    one = Flow(1, Transport.TLS, ("127.0.0.1", 1), ("127.0.0.1", 2))
    same = Flow(1, Transport.UDP, ("127.0.0.1", 3), ("127.0.0.1", 4))
    other = Flow(2, Transport.TLS, ("127.0.0.1", 1), ("127.0.0.1", 2))
    assert one == same
    assert one != other
    assert len({one, same, other}) == 2


def test_targets_differ_by_credential_and_by_server_name():
    plain = Target(Transport.TLS, "pbx.test", 5061)
    assert plain != Target(Transport.TLS, "pbx.test", 5061, credential="alice")
    assert plain != Target(Transport.TLS, "pbx.test", 5061, server_name="pbx.test")
    assert plain == Target(Transport.TLS, "pbx.test", 5061)


def test_only_udp_is_unreliable():
    assert [transport.reliable for transport in Transport] == [False, True, True]

"""A call's life on virtual time: how it comes up, changes and ends, and what ends it cleanly."""

from __future__ import annotations

import pytest

from softphone.call.leg import FAR_END_PATIENCE
from softphone.errors import SoftphoneError
from softphone.events import CallState, EndedBy
from softphone.media import MediaFailed, PayloadTypeChanged
from softphone.security import (
    CryptoSuite,
    Scope,
    SecurityLevel,
    SecurityPolicy,
    SecurityShortfall,
    ShortfallCode,
)
from softphone.sip import security_call_info
from tests.support.stage import Stage, edit_body, first_line, with_header

END_TO_END = SecurityPolicy(scope=Scope.END_TO_END)


def saying(level, *, on="SIP/2.0 200"):
    """A tamper that adds Call-Info to what Bob sends."""

    def tamper(name, data):
        if name == "bob" and first_line(data).startswith(on):
            return with_header(data, "Call-Info", security_call_info(level))
        return data

    return tamper


async def test_two_strict_parties_talk_under_the_same_keys():
    stage = Stage()
    caller, callee = stage.answered()
    assert caller.state is callee.state is CallState.CONFIRMED
    assert caller.confirmed.done()
    assert callee.confirmed.done()
    (mine,), (theirs,) = stage.alice.port.specs, stage.bob.port.specs
    assert mine.send_key.key.reveal() == theirs.receive_key.key.reveal()
    assert caller.security.level is SecurityLevel.ENCRYPTED
    assert caller.security.media[0].suite is CryptoSuite.AEAD_AES_256_GCM


async def test_a_call_is_the_same_bytes_in_every_run():
    def whole_call():
        stage = Stage(seed=42)
        caller, _ = stage.answered()
        caller.hang_up()
        stage.run(40)
        return stage.wire

    first, second = whole_call(), whole_call()
    assert len(first) == 6
    assert first == second


async def test_the_end_of_a_call_leaves_no_timer_and_no_row():
    stage = Stage()
    caller, callee = stage.answered()
    caller.hang_up()
    stage.run(100)
    assert callee.ended.result().by is EndedBy.REMOTE
    assert stage.alice.port.closed == set(stage.alice.port.opened)
    assert stage.bob.port.closed == set(stage.bob.port.opened)
    assert stage.alice.endpoint.next_timer() is None
    assert not stage.alice.endpoint.waits_for_responses


async def test_media_is_closed_before_the_bye_leaves():
    stage = Stage()
    caller, _ = stage.answered()
    order = []
    close = stage.alice.port.close_stream
    stage.alice.port.close_stream = lambda handle: (order.append("close"), close(handle))

    def watch(name, data):
        if first_line(data).startswith("BYE"):
            order.append("BYE")
        return data

    stage.tamper = watch
    caller.hang_up()
    assert order == ["close", "BYE"]


async def test_the_word_of_a_server_that_vouches_is_the_far_ends_level():
    stage = Stage()
    stage.alice.vouched = True
    stage.tamper = saying(SecurityLevel.ENCRYPTED)
    caller, _ = stage.answered()
    assert caller.security.lock


async def test_the_word_of_anybody_else_raises_nothing():
    stage = Stage()
    stage.tamper = saying(SecurityLevel.ENCRYPTED)
    caller, _ = stage.answered()
    assert caller.security.far_end is None
    assert caller.security.scope is Scope.HOP


async def test_a_lower_level_is_shown_whoever_says_it():
    stage = Stage()
    stage.tamper = saying(SecurityLevel.NOT_SECURE)
    caller, _ = stage.answered()
    assert caller.security.level is SecurityLevel.NOT_SECURE


async def test_end_to_end_waits_for_the_servers_word_with_its_media_closed():
    stage = Stage()
    stage.alice.policy, stage.alice.vouched = END_TO_END, True
    caller, callee = stage.answered()
    assert stage.alice.port.specs == []
    assert not caller.confirmed.done()
    stage.tamper = saying(SecurityLevel.ENCRYPTED, on="UPDATE")
    with stage.bob.change() as now:
        callee.usage.update(None, now=now)
    stage.run(0.1)
    assert caller.confirmed.done()
    assert len(stage.alice.port.specs) == 1
    assert caller.security.lock


async def test_end_to_end_gives_up_when_the_server_says_nothing():
    stage = Stage()
    stage.alice.policy, stage.alice.vouched = END_TO_END, True
    caller, callee = stage.answered()
    stage.run(FAR_END_PATIENCE)
    assert caller.ended.result().by is EndedBy.POLICY
    assert isinstance(caller.failure, SecurityShortfall)
    assert {s.code for s in caller.refused} == {ShortfallCode.FAR_END_UNKNOWN}
    assert callee.state is CallState.TERMINATED
    assert stage.alice.port.specs == []


async def test_end_to_end_refuses_at_once_when_the_far_end_is_known_to_be_in_clear():
    stage = Stage()
    stage.alice.policy, stage.alice.vouched = END_TO_END, True
    caller, callee = stage.answered()
    stage.tamper = saying(SecurityLevel.NOT_SECURE, on="UPDATE")
    with stage.bob.change() as now:
        callee.usage.update(None, now=now)
    stage.run(0.1)
    assert caller.ended.result().by is EndedBy.POLICY
    assert stage.alice.port.specs == []


@pytest.mark.parametrize("delayed", [False, True])
async def test_the_callee_waits_too_whoever_offers(delayed):
    stage = Stage()
    stage.bob.policy, stage.bob.vouched = END_TO_END, True
    caller, callee = stage.answered(delayed=delayed)
    assert stage.bob.port.specs == []
    assert not callee.confirmed.done()

    def tamper(name, data):
        if name == "alice" and first_line(data).startswith("UPDATE"):
            return with_header(data, "Call-Info", security_call_info(SecurityLevel.ENCRYPTED))
        return data

    stage.tamper = tamper
    with stage.alice.change() as now:
        caller.usage.update(None, now=now)
    stage.run(0.1)
    assert callee.confirmed.done()
    assert len(stage.bob.port.specs) == 1


async def test_what_a_bye_says_of_the_far_end_no_longer_counts():
    stage = Stage()
    stage.alice.policy, stage.alice.vouched = END_TO_END, True
    stage.tamper = saying(SecurityLevel.ENCRYPTED)
    caller, callee = stage.answered()
    before = caller.security
    assert before.far_end is SecurityLevel.ENCRYPTED
    stage.tamper = saying(SecurityLevel.NOT_SECURE, on="BYE")
    callee.hang_up()
    stage.run(0.3)
    assert caller.ended.result().by is EndedBy.REMOTE
    assert caller.security == before


async def test_a_lost_connection_does_not_change_what_the_call_has():
    stage = Stage()
    caller, _ = stage.answered()
    before = caller.security
    stage.cut()
    assert caller.security == before
    assert caller.state is CallState.CONFIRMED
    caller.hang_up()
    assert caller.security == before


async def test_what_goes_wrong_in_one_call_ends_that_call_only():
    stage = Stage()
    caller, callee = stage.answered()
    other = stage.dial()
    stage.run(0.1)

    def broken(handle, spec):
        raise SoftphoneError("the row is gone")

    stage.alice.port.open_stream = broken
    stage.bob.leg.accept()
    stage.run(0.3)
    assert other.ended.result().status == 500
    assert caller.state is callee.state is CallState.CONFIRMED


async def test_a_call_whose_media_is_lost_ends_with_the_cause_and_tells_the_far_end():
    stage = Stage()
    caller, callee = stage.answered()
    handle = caller.stream.handle
    stage.alice.port.callbacks[handle](MediaFailed(handle, "the media worker has ended"))
    stage.run(1)
    ended = caller.ended.result()
    assert (ended.by, ended.reason) == (EndedBy.LOCAL, "the media worker has ended")
    assert handle in stage.alice.port.closed
    assert callee.ended.result().by is EndedBy.REMOTE
    bye = next(data for _, data in stage.wire if first_line(data).startswith("BYE"))
    assert b"cause=500" in bye


async def test_a_change_to_another_agreed_codec_is_followed():
    stage = Stage()

    def both_codecs(name, data):
        def edit(body):
            body = body.replace(b"RTP/SAVP 0 101", b"RTP/SAVP 0 8 101")
            return body.replace(b"a=rtpmap:101", b"a=rtpmap:8 PCMA/8000\r\na=rtpmap:101")

        return edit_body(data, edit) if first_line(data).startswith("SIP/2.0 200") else data

    stage.tamper = both_codecs
    caller, _ = stage.answered()
    (spec,) = stage.alice.port.specs
    assert (spec.codec, spec.other_payload_types) == ("PCMU", (8,))
    handle = caller.stream.handle
    stage.alice.port.callbacks[handle](PayloadTypeChanged(handle, 8))
    spec = stage.alice.port.specs[-1]
    assert (spec.codec, spec.payload_type, spec.receive_payload_type) == ("PCMA", 8, 8)
    assert spec.send_key == stage.alice.port.specs[0].send_key
    stage.alice.port.callbacks[handle](PayloadTypeChanged(handle, 96))
    assert len(stage.alice.port.specs) == 2

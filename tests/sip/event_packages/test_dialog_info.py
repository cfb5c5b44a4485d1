"""Dialog states (RFC 4235): documents that are read and written, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.events import CallState, WatchedDialog
from softphone.sip import MalformedMessage
from softphone.sip.event_packages import (
    DIALOG_INFO,
    DialogInfo,
    DialogInfoTable,
    parse_dialog_info,
    print_dialog_info,
)
from softphone.sip.event_packages.dialog_info import MOST_DIALOGS
from tests.support.linear_time import is_linear

# RFC 4235 section 6.1
OF_THE_RFC = b"""<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="1" state="full"
             entity="sip:alice@example.com">
  <dialog id="as7d900as8" call-id="a84b4c76e66710" local-tag="1928301774" direction="initiator">
    <state>early</state>
  </dialog>
</dialog-info>"""
# As Asterisk 22 writes it.
OF_ASTERISK = b"""<?xml version="1.0" encoding="UTF-8"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="1" state="full"
 entity="sip:olga@127.0.0.1:5061">
 <dialog id="olga" call-id="x" direction="recipient">
  <remote><identity display="Alice &amp; Co">sip:alice@127.0.0.1</identity>
   <target uri="sip:alice@127.0.0.1"/></remote>
  <state>early</state>
 </dialog>
</dialog-info>"""


def document(*dialogs, version=0, full=True):
    return DialogInfo("sip:a@h", version, full, dialogs)


def dialog(id_="1", state=CallState.EARLY, **more):
    return WatchedDialog(id=id_, state=state, **more)


def test_the_example_of_the_rfc_is_read():
    info = parse_dialog_info(OF_THE_RFC)
    assert (info.entity, info.version, info.full) == ("sip:alice@example.com", 1, True)
    assert info.dialogs == (
        WatchedDialog(
            id="as7d900as8",
            state=CallState.EARLY,
            direction="initiator",
            call_id="a84b4c76e66710",
            local_tag="1928301774",
        ),
    )


def test_the_far_end_is_read_with_its_name():
    (found,) = parse_dialog_info(OF_ASTERISK).dialogs
    assert (found.remote_name, found.remote_uri) == ("Alice & Co", "sip:alice@127.0.0.1")
    assert found.remote_target == "sip:alice@127.0.0.1"


def test_what_is_written_is_read_again():
    whole = dialog(
        direction="recipient",
        remote_uri="sip:b&c@h",
        remote_name='"<B>"',
        call_id="x'\"y",
        local_tag="1",
        remote_tag="2",
        remote_target="sip:b@h;x=<>",
    )
    info = document(whole, dialog("2", CallState.TERMINATED), version=7, full=False)
    body = print_dialog_info(info)
    assert body.media_type == DIALOG_INFO
    assert parse_dialog_info(body.data) == info


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<dialog-info version='0'/>",
        b"<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info'/>",
        b"<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='-1'/>",
        b"<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='0'>",
        b"<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='0'>\xff</dialog-info>",
        b"<presence xmlns='urn:ietf:params:xml:ns:pidf' version='0'/>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><dialog-info "
        b"xmlns='urn:ietf:params:xml:ns:dialog-info' version='0'/>",
        b"<a>" * 17 + b"</a>" * 17,
        b"<a>" + b"<b/>" * 2001 + b"</a>",
        b"<a " + b"".join(b"b%d='' " % n for n in range(4001)) + b"/>",
        b"<a>" + b" " * 65536 + b"</a>",
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(MalformedMessage):
        parse_dialog_info(data)


def test_a_dialog_without_id_or_state_is_left_out():
    data = OF_THE_RFC.replace(b"early", b"dreaming").replace(
        b"</dialog-info>", b"<dialog><state>early</state></dialog></dialog-info>"
    )
    assert parse_dialog_info(data).dialogs == ()


def test_long_texts_are_cut_off_and_reading_is_linear():
    long = OF_ASTERISK.replace(b"sip:alice", b"sip:" + b"a" * 9000)
    (found,) = parse_dialog_info(long).dialogs
    assert len(found.remote_uri) == len(found.remote_target) == 512

    def make(size):
        inner = b"<dialog id='1'>" + b"x&#65;<y/>" * (size // 40) + b"</dialog>"
        head = b"<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='0'>"
        return head + inner + b"</dialog-info>"

    assert is_linear(parse_dialog_info, make)


def test_a_full_state_replaces_all_and_tells_who_has_gone():
    table = DialogInfoTable()
    one, two = dialog("1"), dialog("2")
    assert table.apply(document(one, two)) == (one, two)
    up = replace(two, state=CallState.CONFIRMED)
    assert table.apply(document(up, version=1)) == (replace(one, state=CallState.TERMINATED), up)
    assert table.dialogs == (up,)
    assert table.apply(document(up, version=2)) == ()


def test_a_partial_state_changes_what_it_names():
    table = DialogInfoTable()
    one, two = dialog("1"), dialog("2")
    table.apply(document(one))
    assert table.apply(document(two, version=1, full=False)) == (two,)
    gone = replace(one, state=CallState.TERMINATED)
    assert table.apply(document(gone, version=2, full=False)) == (gone,)
    assert table.dialogs == (two,)
    assert not table.incomplete


def test_a_gap_between_partial_states_asks_for_the_full_one():
    table = DialogInfoTable()
    table.apply(document(dialog("1")))
    assert table.apply(document(dialog("2"), version=3, full=False)) == (dialog("2"),)
    assert table.incomplete
    table.apply(document(version=4, full=False))
    assert table.incomplete
    table.apply(document(dialog("2"), version=5))
    assert not table.incomplete


def test_a_partial_state_first_asks_for_the_full_one():
    table = DialogInfoTable()
    table.apply(document(dialog("1"), full=False))
    assert table.incomplete


def test_an_old_version_is_ignored_and_a_new_subscription_counts_anew():
    table = DialogInfoTable()
    table.apply(document(dialog("1"), version=5))
    assert table.apply(document(version=5)) == ()
    assert table.apply(document(version=4)) == ()
    table.restart()
    assert table.apply(document(version=0)) == (dialog("1", CallState.TERMINATED),)


def test_the_number_of_dialogs_is_bounded():
    table = DialogInfoTable()
    many = [dialog(str(n)) for n in range(MOST_DIALOGS + 50)]
    assert len(table.apply(document(*many))) == len(table.dialogs) == MOST_DIALOGS
    assert table.apply(document(dialog("x"), version=1, full=False)) == ()

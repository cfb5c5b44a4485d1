"""Every state has an icon, the JSON map says the same, and the pictures are safe to show inline.

python -m tests.test_icons           write softphone/icons/icons.json again
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import pytest

from softphone import icons
from softphone.icons import (
    Icon,
    icon_map,
    icon_of_call,
    icon_of_connection,
    icon_of_fips,
    icon_of_lock,
    icon_of_message,
)
from softphone.messaging.message import EncryptionScope, MessageSecurity
from softphone.security import (
    CryptoSuite,
    MediaSecurity,
    Scope,
    SecurityLevel,
    SecurityState,
    SignalingSecurity,
)
from softphone.trust.fips import FipsMode, FipsModeOrigin

FOLDER = Path(icons.__file__).parent
SVG = "{http://www.w3.org/2000/svg}"


def calls():
    """Calls of all kinds: signaling, media, far end, through an edge server or not."""
    tls = SignalingSecurity("TLSv1.3", "TLS_AES_128_GCM_SHA256", "example.test", "chain")
    signaling = (
        SignalingSecurity(),
        tls,
        SignalingSecurity("TLSv1.2", "NULL-SHA256", "e", "pin", encrypted=False),
    )
    clear = MediaSecurity("audio", "RTP/AVP")
    srtp = MediaSecurity("audio", "RTP/SAVP", CryptoSuite.AEAD_AES_128_GCM)
    media = ((), (clear,), (srtp,), (srtp, clear))
    for parts in product(signaling, media, (None, *SecurityLevel), (False, True)):
        yield SecurityState(*parts[:3], by_edge=parts[3])


def test_the_closed_lock_is_shown_exactly_where_the_engine_allows_it():
    shown = {state: icon_of_call(state) for state in calls()}
    assert set(shown.values()) == {Icon.LOCK, Icon.LOCK_OPEN, Icon.UNKNOWN}
    for state, icon in shown.items():
        assert (icon is Icon.LOCK) is state.lock
        assert (icon is Icon.UNKNOWN) is (state.level is SecurityLevel.UNKNOWN)
        # Who reads the JSON lines and the map comes to the same.
        assert icon_map()["call"][state.level.value][state.scope.value] == icon
    assert icon_of_call(None) is Icon.UNKNOWN


def test_every_state_of_each_enumeration_has_an_icon():
    told = icon_map()
    assert {(level, scope) for level in told["call"] for scope in told["call"][level]} == {
        (level.value, scope.value) for level in SecurityLevel for scope in Scope
    }
    assert set(told["connection"]) == {level.value for level in SecurityLevel}
    assert set(told["message"]) == {scope.value for scope in EncryptionScope}
    used = {*told["connection"].values(), *told["message"].values(), told["fips"]}
    assert used | {icon for row in told["call"].values() for icon in row.values()} == set(Icon)
    assert set(told["icons"]) == set(Icon)


def test_connections_messages_and_fips_mode():
    encrypted = {each for each in SecurityLevel if icon_of_connection(each) is Icon.LOCK}
    assert encrypted == {SecurityLevel.ENCRYPTED}
    assert icon_of_connection(None) is icon_of_connection(SecurityLevel.UNKNOWN) is Icon.UNKNOWN
    for scope in EncryptionScope:
        assert icon_of_message(scope) == MessageSecurity(scope).sign
    assert icon_of_fips(FipsMode(True, FipsModeOrigin.PLATFORM)) is Icon.FIPS
    assert icon_of_fips(FipsMode(False, FipsModeOrigin.BOOTSTRAP)) is None
    assert [icon_of_lock(each) for each in (None, True, False)] == [
        Icon.UNKNOWN,
        Icon.LOCK,
        Icon.LOCK_OPEN,
    ]


def text():
    return json.dumps(icon_map(), indent=2) + "\n"


def test_the_json_file_is_the_map():
    assert (FOLDER / "icons.json").read_text(encoding="utf-8") == text(), __doc__
    for icon, told in json.loads(text())["icons"].items():
        assert (FOLDER / told["file"]).read_text(encoding="utf-8") == Icon(icon).svg + "\n"
        assert told["label"] == Icon(icon).label
    assert {each.stem for each in (FOLDER / "svg").iterdir()} == set(Icon)


@pytest.mark.parametrize("icon", Icon)
def test_a_picture_is_one_shape_in_the_color_of_the_text(icon):
    """Nothing in it runs, loads or has a color of its own, so that a page may take it in."""
    root = ElementTree.fromstring(icon.svg)
    assert root.tag == SVG + "svg"
    assert set(root.attrib) == {"viewBox", "fill"}
    assert root.get("fill") == "currentColor"
    assert root.get("viewBox").endswith(" 16")
    assert [(each.tag, set(each.attrib)) for each in root] == [(SVG + "path", {"fill-rule", "d"})]
    assert icon.label


if __name__ == "__main__":
    (FOLDER / "icons.json").write_text(text(), encoding="utf-8")

"""`softphone trust show`, `check`, `import` and `reset`, with the lists of a cluster."""

from __future__ import annotations

import re

import pytest

from softphone.trust import (
    IdentityStore,
    Pin,
    Service,
    TrustBasis,
    TrustListStore,
    TrustStore,
    fingerprint_of,
)
from tests.support.capf import lsc_of
from tests.support.cisco import DATA, SIGNED, certificate, der, named, signer, vector

CTL = DATA / "trust" / "CTLFile-sha512.tlv"
ITL = DATA / "trust" / "ITLFile-sha512.tlv"
WEAK = DATA / "trust" / "ITLFile-sha1.tlv"
ROGUE = DATA / "trust" / "ITLFile-rogue.tlv"
SAST = DATA / "keys" / "sast.pem"


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def trust(cli, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")

    def run(command, *arguments):
        return cli("trust", command, *arguments, "--store", store)

    return run


@pytest.fixture
def filled(trust):
    assert trust("import", ITL, CTL, "--pin", SAST).code == 0


def held(store):
    return [each.data for each in _lists(store) if each is not None]


def _lists(store):
    lists = TrustListStore(store).held()
    return lists.ctl, lists.itl


def test_an_empty_store_asks_for_the_fingerprint_to_be_compared(trust, store):
    seen = trust("import", CTL, "--json")
    assert seen.code == 3
    assert fingerprint_of(der("keys/sast")) in seen.summary["reason"]
    assert held(store) == []


def test_the_ctl_is_taken_first_and_vouches_for_the_itl(trust, store):
    seen = trust("import", ITL, CTL, "--pin", fingerprint_of(der("keys/sast")), "--json")
    assert seen.code == 0
    accepted = [event for event in seen.events if event["event"] == "accepted"]
    assert [(each["kind"], each["basis"]) for each in accepted] == [("ctl", "pin"), ("itl", "ctl")]
    assert held(store) == [CTL.read_bytes(), ITL.read_bytes()]


def test_the_first_use_is_said_aloud(trust):
    seen = trust("import", CTL, "--trust-on-first-use")
    assert seen.code == 0
    assert "nobody vouches for it" in seen.err
    assert "on nobody's word" in seen.out


def test_pins_and_first_use_are_two_ways(trust):
    assert trust("import", CTL, "--trust-on-first-use", "--pin", SAST).code == 2


def test_a_refused_list_leaves_the_good_one(trust, store, filled):
    seen = trust("import", ROGUE)
    assert seen.code == 3
    assert "whom no list that is held names" in seen.err
    assert held(store) == [CTL.read_bytes(), ITL.read_bytes()]


def test_of_several_files_the_good_ones_are_stored_and_each_refusal_is_told(trust, store):
    seen = trust("import", ROGUE, CTL, "--pin", SAST)
    assert seen.code == 3
    assert held(store) == [CTL.read_bytes()]
    seen = trust("import", DATA / "trust" / "CTLFile-sast4096.tlv", ROGUE)
    assert seen.code == 3
    assert seen.err.count("error: ") == 2


def test_two_files_of_a_kind_are_not_guessed_at(trust, store):
    seen = trust("import", ITL, WEAK, "--trust-on-first-use")
    assert seen.code == 2
    assert "of one kind" in seen.err
    assert held(store) == []


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("missing.tlv", None, 2),
        ("empty.tlv", b"", 3),
        ("text.tlv", b"hello\n", 3),
        ("half.tlv", CTL.read_bytes()[:700], 3),
        ("signed.tlv", vector(SIGNED[0]), 3),
    ],
)
@pytest.mark.parametrize("command", ["check", "import"])
def test_a_wrong_file_is_one_sentence(trust, tmp_path, command, name, content, code):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    seen = trust(command, path, "--trust-on-first-use")
    assert seen.code == code
    error, *hint = seen.err.splitlines()
    assert name in error
    # What was typed wrong needs no advice beside the sentence.
    assert [line.partition(":")[0] for line in hint] == (["hint"] if code == 3 else [])
    assert "Traceback" not in seen.err


def test_check_judges_and_stores_nothing(trust, store, filled):
    before = {path: path.read_bytes() for path in store.iterdir()}
    good = trust("check", ITL, "--json")
    assert (good.code, good.summary["basis"]) == (0, "unchanged")
    bad = trust("check", ROGUE, "--json")
    assert bad.code == 3
    (told,) = [event for event in bad.events if event["event"] == "trust_list"]
    assert (told["accepted"], told["refusal"]) == (False, "signer_unknown")
    assert {path: path.read_bytes() for path in store.iterdir()} == before


RECOVERY = DATA / "keys" / "itlrecovery.pem"


@pytest.mark.parametrize("command", ["check", "import"])
def test_a_pin_is_held_against_the_lists_that_are_held(trust, store, command):
    assert trust("import", ITL, "--trust-on-first-use").code == 0
    seen = trust(command, ITL, "--pin", SAST, "--json")
    assert (seen.code, seen.summary["result"]) == (3, "refused")
    for words in (fingerprint_of(der("keys/itlrecovery")), "pin it as well (--pin)", "trust reset"):
        assert words in seen.summary["reason"]
    assert trust(command, CTL, "--pin", SAST).code == 3
    assert held(store) == [ITL.read_bytes()]
    assert trust(command, ITL, "--pin", RECOVERY).code == 0


def test_a_pin_that_fits_stands_in_nobody_s_way(trust, store, filled):
    assert trust("import", CTL, ITL, "--pin", SAST).code == 0
    assert trust("check", ITL, "--pin", SAST).code == 0
    # The CTL is on the pinned signer's word, and so is no list of the ITL's signer alone.
    seen = trust("check", ITL, "--pin", RECOVERY)
    assert seen.code == 3
    assert "the CTL is signed by" in seen.err


def test_a_list_may_have_the_name_of_its_file_inside(trust, tmp_path, store):
    path = tmp_path / "ITLCSFALICE.tlv"
    path.write_bytes(named(ITL.read_bytes(), path.name, signer("itlrecovery")))
    assert trust("check", path, "--pin", RECOVERY).code == 0
    assert trust("import", path, "--pin", RECOVERY).code == 0
    assert held(store) == [path.read_bytes()]
    assert trust("show").code == 0
    other = tmp_path / "ITLCSFBOB.tlv"
    other.write_bytes(path.read_bytes())
    seen = trust("check", other)
    assert seen.code == 3
    assert "ITLCSFALICE.tlv" in seen.err


def test_check_shows_a_forged_list_without_naming_a_signer(trust, tmp_path, store):
    data = bytearray(CTL.read_bytes())
    data[-1] ^= 1
    forged = tmp_path / "forged.tlv"
    forged.write_bytes(data)
    seen = trust("check", forged, "--pin", SAST, "--json")
    assert seen.code == 3
    assert all(event.get("signer_sha256") is None for event in seen.events)
    assert not store.exists()


def test_show_tells_all_and_never_a_key(trust, store, filled):
    IdentityStore(store).replace("CSFALICE", lsc_of())
    anchors = TrustStore.open(store)
    anchors.add_anchor(certificate("keys/mfgca"))
    anchors.add_pin(Pin(Service.SIP, "cucm.test", 5061, der("keys/rogue")))
    key = (store / "CSFALICE.pem").read_text()
    for options in ((), ("--json",)):
        seen = trust("show", *options)
        assert seen.code == 0
        text = re.sub(r"[\s│]", "", seen.out)
        for name in ("sast", "callmanager", "capf", "mfgca", "rogue"):
            assert fingerprint_of(der(f"keys/{name}")) in text
        assert "PRIVATE" not in seen.out
        body = key.partition("PRIVATE KEY-----")[2].partition("-----END")[0].split()
        assert body
        assert not any(line in text for line in body)
    assert [event["event"] for event in seen.events] == [
        "trust_list",
        "trust_list",
        "anchor",
        "pin",
        "summary",
    ]


def test_a_signature_over_sha_1_is_named(trust):
    trust("import", WEAK, "--pin", DATA / "keys" / "itlrecovery.pem")
    seen = trust("show")
    assert re.search(r"signature hash\W+SHA-1", seen.out)
    assert "forgers have broken" in seen.out


def test_a_store_that_is_not_there_is_named(trust, store):
    for command in (("show",), ("reset", "--yes")):
        seen = trust(*command)
        assert seen.code == 2
        assert "there is no store" in seen.err
    assert not store.exists()


def test_a_damaged_store_is_said_to_be_and_reset_helps(trust, store, filled):
    (store / "CTLFile.tlv").write_bytes(b"x")
    seen = trust("show")
    assert seen.code == 2
    assert "reset the trust lists" in seen.err
    assert trust("reset", "--yes", "--json").summary["lists"] == ["ctl", "itl"]
    assert trust("reset", "--yes").out.startswith("there was no trust list to forget")
    assert trust("import", CTL, "--pin", SAST, "--json").events[0]["basis"] == TrustBasis.PIN

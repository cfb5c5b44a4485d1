"""PASSporTs against a call and a certificate: what is verified, and why anything else is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from softphone.trust.stir import (
    Attestation,
    AttestationLevel,
    CallClaims,
    InvalidPassport,
    load_path,
    parse_identity,
    select_passports,
    verify_passport,
)
from tests.support.stir import (
    CALLED,
    CALLER,
    Carrier,
    StirAuthority,
    identity,
    one,
    span,
    spc,
)

WALL = datetime(2026, 11, 28, 9, tzinfo=UTC)
NOW = WALL.timestamp()
CALL = CallClaims(CALLER, frozenset({CALLED}))


@cache
def authority() -> StirAuthority:
    return StirAuthority(wall=WALL)


@cache
def carrier() -> Carrier:
    return authority().carrier()


def verified(signer: Carrier, **changes) -> Attestation:
    """Verify a PASSporT that a carrier has signed for `CALL`."""
    options = {"wall": WALL, "anchors": [authority().certificate], "path": signer.path, **changes}
    passport = parse_identity(identity(signer, issued=NOW))
    path = load_path(replace(signer, path=options.pop("path")).pem)
    return verify_passport(passport, path, options["anchors"], wall=options["wall"])


@pytest.mark.parametrize("level", list(AttestationLevel))
def test_each_level_is_verified(level):
    passport = parse_identity(identity(carrier(), issued=NOW, level=level.value))
    found = verify_passport(passport, carrier().path, [authority().certificate], wall=WALL)
    assert (found.level, found.reason, found.number) == (level, "", CALLER)
    assert (found.authorities, found.signer) == (("SPC 1234",), "CN=SHAKEN 1234")
    assert found.origin_id == passport.origin_id


def test_a_certificate_for_numbers_is_told_with_them():
    found = verified(authority().carrier(one("15550101003"), span("15550109000", 10)))
    assert found.authorities == ("15550101003", "15550109000 +10")


def test_an_anchor_may_be_a_subordinate_authority():
    assert verified(carrier(), anchors=[authority().subordinate], path=carrier().path[:1]).level


def refused() -> dict[str, tuple[Carrier, dict[str, object], str]]:
    mine = authority()
    constraint = ("1.3.6.1.5.5.7.1.27", b"\x30\x00", False)
    leaf = carrier()
    return {
        "an anchor of another": (leaf, {"anchors": [StirAuthority().certificate]}, "anchors"),
        "no anchor": (leaf, {"anchors": []}, "anchors"),
        "no way to the anchor": (leaf, {"path": leaf.path[:1]}, "anchors"),
        "expired": (mine.carrier(days=-1), {}, "anchors"),
        "not yet valid": (leaf, {"wall": WALL - timedelta(days=90)}, "anchors"),
        "a carrier as authority": (_issued_by_carrier(), {}, "anchors"),
        "an unknown critical extension": (
            mine.carrier(more=[("1.2.3.4", b"\x05\x00", True)]),
            {},
            "anchors",
        ),
        "constraints on claims": (mine.carrier(more=[constraint]), {}, "constrains claims"),
        "no list of numbers": (mine.carrier(listed=b""), {}, "no carrier and no number"),
        "an unreadable list": (mine.carrier(listed=b"\x30\x01"), {}, "in its certificate"),
        "other numbers": (mine.carrier(one("15550101004")), {}, "does not speak for"),
        "a key on P-384": (
            mine.carrier(key=ec.generate_private_key(ec.SECP384R1())),
            {},
            "P-256|signature",
        ),
        "another key": (replace(leaf, key=mine.carrier().key), {}, "signature is wrong"),
        "RSA": (
            mine.carrier(key=rsa.generate_private_key(65537, 2048)),
            {},
            "not on P-256",
        ),
    }


def _issued_by_carrier() -> Carrier:
    """A certificate that a carrier has issued, though it is no authority."""
    mine, leaf = authority(), carrier()
    issuer = StirAuthority(wall=WALL)
    issuer.subordinate, issuer._below = leaf.path[0], leaf.key
    made = issuer.carrier(spc("9"))
    return Carrier((made.path[0], leaf.path[0], mine.subordinate), made.key)


@pytest.mark.parametrize("case", refused())
def test_a_certificate_that_proves_nothing_is_refused(case):
    signer, changes, why = refused()[case]
    with pytest.raises(InvalidPassport, match=why):
        verified(signer, **changes)


def test_a_changed_claim_breaks_the_signature():
    passport = parse_identity(identity(carrier(), issued=NOW))
    other = parse_identity(identity(carrier(), issued=NOW, level="C"))
    with pytest.raises(InvalidPassport, match="signature is wrong"):
        verify_passport(
            replace(passport, signature=other.signature),
            carrier().path,
            [authority().certificate],
            wall=WALL,
        )
    with pytest.raises(InvalidPassport, match="signature is wrong"):
        verify_passport(
            replace(passport, signature=bytes(64)),
            carrier().path,
            [authority().certificate],
            wall=WALL,
        )


@pytest.mark.parametrize("pem", [b"", b"<html>", carrier().key_pem(), carrier().pem * 3])
def test_what_is_no_path_of_certificates_is_refused(pem):
    with pytest.raises(InvalidPassport):
        load_path(pem)


@pytest.mark.parametrize(
    ("call", "token", "why"),
    [
        (CALL, {"issued": NOW - 61}, "not fresh"),
        (CALL, {"issued": NOW + 61}, "not fresh"),
        (CallClaims(None, frozenset({CALLED})), {}, "shows no number"),
        (CallClaims("15559999999", frozenset({CALLED})), {}, "another caller's number"),
        (CallClaims(CALLER, frozenset({"15559999999"})), {}, "a call to another number"),
        (CallClaims(CALLER, frozenset()), {}, "a call to another number"),
        (CallClaims(CALLER, frozenset({CALLED}), NOW - 500), {}, "Date"),
    ],
)
def test_a_token_counts_for_its_call_only(call, token, why):
    value = identity(None, **{"issued": NOW, **token})
    fitting, reasons = select_passports([value], call, wall=WALL)
    assert fitting == []
    (reason,) = reasons
    assert why in reason


def test_of_several_the_best_fitting_comes_first_and_the_others_say_why_not():
    values = [
        "junk",
        identity(None, issued=NOW, level="C"),
        identity(None, issued=NOW - 900),
        identity(None, issued=NOW - 59, level="A"),
    ]
    fitting, reasons = select_passports(values, replace(CALL, date=NOW - 59), wall=WALL)
    assert [each.level.value for each in fitting] == ["A", "C"]
    assert len(reasons) == 2
    fitting, _ = select_passports(["junk"] * 8 + values, CALL, wall=WALL)
    assert fitting == []
    assert select_passports([], CALL, wall=WALL)[1] == ["the call has no Identity header field"]


def test_the_freshness_is_a_setting():
    value = identity(None, issued=NOW - 200)
    assert select_passports([value], CALL, wall=WALL, fresh=300)[0]

"""Certificates and lists as people and scripts see them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from softphone.cli.console.output import CommandOutput
from softphone.cli.trust.tables import certificate_facts, list_facts, show_certificates, show_list
from softphone.lab import Authority, Validity
from softphone.trust import (
    FileHashAlgorithm,
    ListKind,
    RecordFields,
    Role,
    TrustListRecord,
    der_of,
    fingerprint_of,
    new_trust_list,
    parse_trust_list,
)
from tests.support.cisco import TIMESTAMP, certificate, der, expected, signer, vector


@pytest.mark.parametrize("name", ["CTLFile-sha512.tlv", "ITLFile-sha1.tlv"])
def test_a_list_is_told_as_it_is(name):
    facts = list_facts(parse_trust_list(vector(f"trust/{name}")))
    told = next(entry for key, entry in expected().items() if key.endswith(name))
    assert facts["signature_hash"] == ("SHA-1" if "sha1" in name else "SHA-512")
    assert sum(len(record["roles"]) for record in facts["records"]) == len(told["records"])
    assert facts["sha256"] == fingerprint_of(vector(f"trust/{name}"))


def test_one_certificate_with_several_roles_is_one_row():
    fields = [
        RecordFields(role, certificate("keys/callmanager"), dns_name="cucm.test")
        for role in (Role.SAST, Role.CCM_TFTP)
    ]
    fields += [RecordFields(Role.CCM), RecordFields(Role.TFTP)]
    data = new_trust_list(ListKind.ITL, fields, signer("callmanager"), timestamp=TIMESTAMP)
    records = list_facts(parse_trust_list(data))["records"]
    assert [record["roles"] for record in records] == [("SAST", "CCM+TFTP"), ("CCM",), ("TFTP",)]
    assert records[0]["host"] == "cucm.test"
    assert records[0]["sha256"] == fingerprint_of(der("keys/callmanager"))
    assert "gives no trust" in records[1]["subject"]


def test_a_record_with_a_hash_only_tells_the_hash(capsys):
    data = vector("trust/ITLFile-sha512.tlv")
    whole = parse_trust_list(data)
    digest = bytes(range(32))
    record = TrustListRecord(
        0, 10, Role.TVS, certificate_hash=digest, hash_algorithm=FileHashAlgorithm.SHA_256
    )
    facts = list_facts(type(whole)(whole.kind, whole.header, (record,), data), notes=("a", "b"))
    assert facts["records"] == [{"roles": ("TVS",), "subject": "", "sha256": digest.hex()}]
    show_list(CommandOutput(json=False), "ITL", facts)
    assert digest.hex() in capsys.readouterr().out.replace("\n", "").replace(" ", "").replace(
        "│", ""
    )


def test_what_cannot_be_read_is_said_to_be():
    assert certificate_facts(b"x")["subject"] == "(unreadable certificate)"


@pytest.mark.parametrize(
    ("validity", "word"),
    [(Validity.expired(), "expired"), (Validity.future(), "not yet"), (Validity(), None)],
)
def test_a_certificate_out_of_its_time_is_marked(capsys, validity, word):
    issued = Authority().server("im.test", validity=validity).certificate
    show_certificates(CommandOutput(json=False), "Pins", [certificate_facts(der_of(issued))])
    shown = capsys.readouterr().out
    assert f"{issued.not_valid_after_utc:%F}" in shown
    assert {each for each in ("expired", "not yet") if each in shown} == ({word} - {None})
    assert datetime.fromisoformat(certificate_facts(der_of(issued))["ends"]).tzinfo == UTC

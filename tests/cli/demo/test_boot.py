"""The table of the demo's first part: who vouched for what, in one row for all alike."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from softphone.cli.demo.boot import BootedPhone, boot_from_name, show_boot
from softphone.lab import LabServer
from softphone.phone import Phone
from softphone.provisioning import BootStep, StepKind
from softphone.trust import TrustBasis


class Face:
    def __init__(self):
        self.events, self.rows = [], []

    def event(self, name, sentence="", /, **fields):
        self.events.append((name, fields["user"], fields["step"]))

    def table(self, title, columns, rows):
        self.rows = rows


def booted(name, *steps):
    return BootedPhone(name, f"CSF{name.upper()}", SimpleNamespace(), steps)


def step(kind, file="", basis=None, by=""):
    return BootStep(kind, "a sentence", file, basis=basis, by=by)


def test_phones_that_were_told_the_same_share_a_row():
    lists = [
        step(StepKind.LIST_ACCEPTED, "CTLCSFA.tlv", TrustBasis.PIN),
        step(StepKind.LIST_ACCEPTED, "ITLCSFA.tlv", TrustBasis.CTL),
        step(StepKind.CONFIGURATION_VERIFIED, "CSFA.cnf.xml.sgn", TrustBasis.CTL),
    ]
    secure = [
        step(StepKind.ENROLLING),
        step(StepKind.ENROLLMENT_PROGRESS),
        step(StepKind.ENROLLED),
        step(StepKind.LIST_UNCHANGED, "CTLCSFA.tlv", TrustBasis.UNCHANGED),
        step(StepKind.CONFIGURATION_VERIFIED, "CSFA.cnf.xml.enc.sgn", TrustBasis.CTL),
        step(StepKind.REGISTERED, by="ab"),
    ]
    face = Face()
    show_boot(
        face,
        [booted("a", *lists, *secure), booted("c", *lists, step(StepKind.REGISTERED))],
    )
    assert [row[:2] for row in face.rows] == [
        ("trust list CTL", "a, c"),
        ("trust list ITL", "a, c"),
        ("configuration", "a, c"),
        ("certificate to show", "a"),
        ("encrypted configuration", "a"),
        ("call server", "a"),
        ("call server", "c"),
    ]
    assert "pinned" in face.rows[0][2]
    assert "opened with the phone's key" in face.rows[4][2]
    assert face.rows[-1][2] == "nobody: it registers in clear"
    assert len(face.events) == 12


async def test_a_lab_without_files_has_nothing_to_boot_from(tmp_path):
    async with LabServer(tmp_path) as lab, Phone() as phone:
        with pytest.raises(LookupError, match="no device of alice"):
            await boot_from_name(lab, phone, "alice", "http")

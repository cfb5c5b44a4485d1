"""The lab as a cluster: which devices there are, and what becomes of their configurations."""

from __future__ import annotations

import pytest

from softphone.lab import LabConfig, LabServer
from softphone.provisioning import HttpFiles, certificate_hash
from softphone.sans_io import Transport
from softphone.trust import CapfOperation
from tests.support.cluster import identity


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(files=True)) as server:
        yield server


async def test_who_has_a_device(lab):
    assert set(lab.cluster.addresses) == {"tftp", "http", "https"}
    assert lab.cluster.device("CSFDAVE") is None
    assert lab.cluster.device("CSFNOBODY") is None
    carol, certificate = lab.cluster.device("CSFCAROL")
    assert (carol.transport, carol.secure, certificate) == (Transport.UDP, False, None)
    assert carol.password.encode() == lab.files.passwords["carol"].reveal()


async def test_a_device_is_asked_to_enroll_until_it_has(lab):
    alice, certificate = lab.cluster.device("CSFALICE")
    assert (alice.capf_mode, alice.encrypted, certificate) == (1, False, None)
    assert alice.capf == lab.capf_address
    issued = identity("CSFALICE").der
    pending = lab.capf.machine.devices["CSFALICE"]
    lab.capf.machine.set_device(
        type(pending)("CSFALICE", CapfOperation.NONE, certificate=issued, key=pending.key)
    )
    alice, certificate = lab.cluster.device("CSFALICE")
    assert (alice.capf_mode, alice.encrypted, certificate) == (0, True, issued)
    assert alice.certificate_hash == certificate_hash(issued)


async def test_phones_of_one_machine_have_ports_of_their_own(lab):
    ranges = [lab.cluster.device(name)[0].media_ports for name in ("CSFALICE", "CSFBOB")]
    assert ranges[0][1] < ranges[1][0]


async def test_the_files_are_served(lab):
    source = HttpFiles(*lab.cluster.addresses["http"])
    assert (await source.fetch_file("CSFALICE.cnf.xml.sgn"))[:1] == b"\x01"


async def test_without_being_asked_for_there_is_none(tmp_path):
    async with LabServer(tmp_path / "lab") as server:
        assert server.cluster is None

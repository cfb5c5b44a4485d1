"""The lab's TVS: asked over TLS by a phone that holds the lab's lists."""

from __future__ import annotations

import pytest

from softphone.errors import CertificateUntrusted
from softphone.lab import LabConfig, LabServer
from softphone.net.verified import TvsAsker
from softphone.sans_io import Target, Transport
from softphone.trust import (
    ListKind,
    Role,
    TlsSettings,
    TrustLists,
    TvsAnswer,
    der_of,
    load_certificate_file,
    parse_trust_list,
)
from tests.support import listed
from tests.support.clock import seeded_entropy
from tests.support.recorder import Recorder, client_driver
from tests.support.waiting import PATIENCE


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(tvs=True)) as server:
        yield server


def itl(lab) -> TrustLists:
    """What a phone would hold that knows the lab's TVS and nobody else."""
    return TrustLists(itl=parse_trust_list(listed.itl(lab.tvs.record, names={})))


def asker(lab, lists=None) -> TvsAsker:
    return TvsAsker(
        [lab.tvs_address],
        lists or itl(lab),
        device_name="CP-0503-SEP0011223344FF",
        entropy=seeded_entropy(1),
    )


async def test_it_knows_the_labs_own_servers_and_what_it_is_told(lab):
    (server, *_) = load_certificate_file(lab.files.server.certificate)
    asking = asker(lab)
    assert (await asking.query_certificate(der_of(server), within=PATIENCE)).gives(Role.CCM)
    stranger = listed.der("new")
    assert not (await asking.query_certificate(stranger, within=PATIENCE)).answer.valid
    lab.tvs.add_certificate(stranger, [Role.CAPF], ttl=60)
    lab.tvs.add_certificate(stranger, [Role.TFTP, Role.CAPF], ttl=90)
    found = await asker(lab).query_certificate(stranger, within=PATIENCE)
    assert found.answer == TvsAnswer(True, (Role.CAPF, Role.TFTP), 90)
    lab.tvs.remove_certificate(stranger)
    assert not (await asker(lab).query_certificate(stranger, within=PATIENCE)).answer.valid
    assert [asked.device_name for asked in lab.tvs.asked] == ["CP-0503-SEP0011223344FF"] * 4


async def test_a_phone_reaches_the_lab_on_the_word_of_its_tvs_alone(lab):
    target = Target(Transport.TLS, *lab.addresses[Transport.TLS])
    for lists, verdict in ((itl(lab), "tvs"), (listed.lists(), None)):
        tls = TlsSettings(lists=lists, tvs=asker(lab, lists))
        async with client_driver(Recorder(), tls) as near:
            if verdict is None:
                with pytest.raises(CertificateUntrusted, match="no TVS has answered"):
                    await near.open_flow(target)
            else:
                assert (await near.open_flow(target)).identity.verdict == verdict


async def test_with_files_the_lists_name_it_and_it_knows_all_that_they_name(tmp_path):
    async with LabServer(tmp_path / "lab", LabConfig(tvs=True, files=True)) as lab:
        data = lab.cluster.files.file(ListKind.ITL.filename)
        lists = TrustLists(itl=parse_trust_list(data))
        asking = asker(lab, lists)
        for record in lists.itl.records:
            found = await asking.query_certificate(record.certificate, within=PATIENCE)
            assert record.role in found.answer.roles
        assert lab.cluster.tvs == lab.tvs_address
        assert (tmp_path / "lab" / ListKind.ITL.filename).read_bytes() == data

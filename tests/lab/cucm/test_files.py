"""Which file the lab has under which name, and for whom."""

from __future__ import annotations

import pytest

from softphone.lab.cucm.files import ClusterFiles
from softphone.provisioning.config_document import open_signed
from softphone.sans_io import Transport
from softphone.trust import (
    Bootstrap,
    FileRefusalReason,
    FileRefused,
    KeyKind,
    ListKind,
    RecordFields,
    Role,
    TrustLists,
    update_lists,
)
from tests.support.clock import seeded_entropy
from tests.support.cluster import WALL, announced, authority, capf, content, identity

DEVICE = "CSFALICE"


class Cluster:
    """Files of one device, whose state a test may change."""

    def __init__(self):
        self.state = (content(), None)
        self.wall = WALL
        self.files = ClusterFiles(
            authority(),
            [RecordFields(Role.CAPF, capf().certificate)],
            lambda name: self.state if name == DEVICE else None,
            entropy=seeded_entropy(1),
            wall=lambda: self.wall,
        )


@pytest.fixture(scope="module")
def made():
    return Cluster()


@pytest.fixture
def cluster(made):
    made.state, made.wall = (content(), None), WALL
    return made


def believed(cluster) -> TrustLists:
    downloads = {
        ListKind.CTL: cluster.files.file(f"CTL{DEVICE}.tlv"),
        ListKind.ITL: cluster.files.file("ITLFile.tlv"),
    }
    pins = frozenset({cluster.files.fingerprint})
    return update_lists(TrustLists(), downloads, bootstrap=Bootstrap(pins)).lists


def test_the_lists_are_believed_by_the_fingerprint_that_is_told(cluster):
    lists = believed(cluster)
    assert lists.ctl is not None
    assert lists.itl is not None
    for role in (Role.SAST, Role.TFTP, Role.CAPF):
        assert lists.certificates(role)


def test_a_device_without_a_certificate_gets_its_configuration_signed(cluster):
    name = f"{DEVICE}.cnf.xml.sgn"
    found = open_signed(cluster.files.file(name), name, believed(cluster))
    assert found.config.lines[0].name == "alice"
    assert cluster.files.file(f"{DEVICE}.cnf.xml.enc.sgn") is None
    assert cluster.files.file(f"{DEVICE}.cnf.xml") is None


def test_a_device_with_a_certificate_gets_a_stub_and_the_rest_encrypted(cluster):
    cluster.state = (announced(), identity().der)
    lists = believed(cluster)
    stub_name, name = f"{DEVICE}.cnf.xml.sgn", f"{DEVICE}.cnf.xml.enc.sgn"
    stub = open_signed(cluster.files.file(stub_name), stub_name, lists)
    assert (stub.config.full, stub.config.encrypted) == (False, True)
    found = open_signed(cluster.files.file(name), name, lists, [identity()])
    assert found.config.lines[0].name == "alice"
    assert b"alice" not in cluster.files.file(name)
    with pytest.raises(FileRefused) as caught:
        open_signed(cluster.files.file(name), name, lists, [identity("CSFBOB")])
    assert caught.value.refusal is FileRefusalReason.CANNOT_DECRYPT


def test_nothing_is_encrypted_to_a_key_on_a_curve(cluster):
    known = identity(DEVICE, KeyKind.EC_P256)
    cluster.state = (announced(known), known.der)
    with pytest.raises(Exception, match="RSA"):
        cluster.files.file(f"{DEVICE}.cnf.xml.enc.sgn")


def test_a_device_that_is_not_secure_may_have_its_file_in_clear(cluster):
    cluster.state = (content(transport=Transport.UDP), None)
    assert cluster.files.file(f"{DEVICE}.cnf.xml").startswith(b"<?xml")


def test_a_file_is_made_once_for_each_state(cluster):
    name = f"{DEVICE}.cnf.xml.sgn"
    first = cluster.files.file(name)
    cluster.wall = WALL.replace(year=2027)
    assert cluster.files.file(name) == first
    cluster.state = (content(expires=99), None)
    assert cluster.files.file(name) != first


@pytest.mark.parametrize(
    "name",
    [
        "",
        "CSFNOBODY.cnf.xml.sgn",
        "CSFALICE",
        "CSFALICE.cnf.xml.sgn.bak",
        "CSFALICE.pem",
        "../CTLFile.tlv",
        "CTL/../x.tlv",
        "XMLDefault.cnf.xml",
    ],
)
def test_nothing_else_is_there(cluster, name):
    assert cluster.files.file(name) is None

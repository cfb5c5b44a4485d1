"""Boots from the recorded files of another implementation: lists, signed and encrypted files."""

from __future__ import annotations

import pytest

from softphone.provisioning import BootPlan, Enrollment, EnrollmentNeeded, boot_device
from softphone.provisioning import boot as boot_module
from softphone.trust import (
    Bootstrap,
    CapfOperation,
    FileRefusalReason,
    FileRefused,
    Identity,
    IdentityStore,
    TrustBasis,
    der_of,
    fingerprint_of,
)
from tests.support.cisco import DATA, certificate, vector
from tests.support.cluster import Shelf

SIGNERS = ("keys/sast", "keys/itlrecovery")
PINS = Bootstrap(frozenset(fingerprint_of(certificate(name)) for name in SIGNERS))


@pytest.fixture(autouse=True)
def enrollments(monkeypatch):
    """Whom CAPF was asked for; it has nothing pending for anybody."""
    asked = []

    async def enroll(request, plan, store, *, on_progress):
        asked.append((request, plan))
        return Enrollment(CapfOperation.NONE, plan.servers[0])

    monkeypatch.setattr(boot_module, "enroll", enroll)
    return asked


def shelf_of(device: str, digest: str, **files: str) -> Shelf:
    """The lists over one hash, and files by their ending."""
    found = {
        f"CTL{device}.tlv": vector(f"trust/CTLFile-{digest}.tlv"),
        f"ITL{device}.tlv": vector(f"trust/ITLFile-{digest}.tlv"),
    }
    endings = {"signed": ".cnf.xml.sgn", "sealed": ".cnf.xml.enc.sgn"}
    found |= {f"{device}{endings[kind]}": vector(f"config/{path}") for kind, path in files.items()}
    return Shelf(found)


async def booted(shelf, device, folder, lsc=None):
    if lsc is not None:
        IdentityStore(folder).replace(device, Identity.load(DATA / "device" / f"{lsc}.pem"))
    return await boot_device(BootPlan(device, [shelf], folder, PINS, entropy=bytes))


@pytest.mark.parametrize("digest", ["sha512", "sha1"])
async def test_an_encrypted_configuration_by_existing_certificate(tmp_path, enrollments, digest):
    device = "SEP001122334455"
    shelf = shelf_of(
        device,
        digest,
        signed=f"enc-{digest}/{device}.cnf.xml.sgn",
        sealed=f"enc-{digest}/{device}.cnf.xml.enc.sgn",
    )
    found = await booted(shelf, device, tmp_path, "lsc-rsa-new")
    assert found.configuration.encrypted
    assert found.config.lines[0].name == "1001"
    assert any("SHA-1" in note for note in found.configuration.notes) is (digest == "sha1")
    ((request, plan),) = enrollments
    assert request.identity is not None
    assert plan.servers == (("cucm-pub.example.test", 3804),)
    assert plan.tls.listed == (der_of(certificate("keys/capf")),)


@pytest.mark.parametrize(
    ("device", "lsc"), [("CSFALICE", "lsc-rsa3072"), ("CSFPAD16", "lsc-csf-new")]
)
async def test_an_encrypted_configuration_whose_certificate_is_ours(tmp_path, device, lsc):
    shelf = shelf_of(
        device,
        "sha512",
        signed=f"enc-sha512/{device}.cnf.xml.sgn",
        sealed=f"enc-sha512/{device}.cnf.xml.enc.sgn",
    )
    found = await booted(shelf, device, tmp_path, lsc)
    assert found.configuration.encrypted
    assert found.configuration.basis is TrustBasis.CTL
    assert found.config.security_mode == 3
    assert found.config.lines[0].name == "1002"


async def test_a_device_that_is_not_encrypted(tmp_path, enrollments):
    shelf = shelf_of("CSFBOB", "sha512", signed="sgn/CSFBOB.cnf.xml.sgn")
    found = await booted(shelf, "CSFBOB", tmp_path)
    assert (found.config.security_mode, found.config.lines[0].name) == (1, "1003")
    ((request, _),) = enrollments
    assert (request.string, request.identity) == (None, None)


@pytest.mark.parametrize("digest", ["sha1", "sha512"])
@pytest.mark.parametrize("device", ["CSFALICE", "SEP001122334455"])
async def test_a_configuration_signed_over_either_hash(tmp_path, device, digest):
    shelf = shelf_of(device, digest, signed=f"sgn/{device}.{digest}.cnf.xml.sgn")
    lsc = "lsc-rsa-new" if device.startswith("SEP") else None
    if lsc is None:
        # By string, which nobody has typed: a secure device does not go on without.
        with pytest.raises(EnrollmentNeeded, match=r"BootPlan\.string"):
            await booted(shelf, device, tmp_path)
        return
    assert (await booted(shelf, device, tmp_path, lsc)).config.full


@pytest.mark.parametrize(
    ("file", "refusal"),
    [
        ("sgn/CSFALICE.rogue.cnf.xml.sgn", FileRefusalReason.SIGNER_UNKNOWN),
        ("sgn/CSFALICE.wrongname.cnf.xml.sgn", FileRefusalReason.NAME_MISMATCH),
    ],
)
async def test_the_bad_ones(tmp_path, file, refusal):
    shelf = shelf_of("CSFALICE", "sha512", signed=file)
    with pytest.raises(FileRefused) as caught:
        await booted(shelf, "CSFALICE", tmp_path)
    assert caught.value.refusal is refusal


async def test_a_rogue_list_is_not_the_first(tmp_path):
    shelf = Shelf({"ITLCSFALICE.tlv": vector("trust/ITLFile-rogue.tlv")})
    with pytest.raises(FileRefused) as caught:
        await booted(shelf, "CSFALICE", tmp_path)
    assert caught.value.refusal is FileRefusalReason.NO_ANCHOR

"""A Cisco phone's way to its configuration: TFTP, trust lists, signed files, TVS, CAPF, the boot.

Keys, certificates and dialogues are the recorded ones of `tests/data/cisco`.  The only octets
that are masked are the ECDSA signatures of one CAPF dialogue, which are never the same twice,
and with them the lengths that follow from theirs.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from softphone.errors import SoftphoneError
from softphone.net import DriverConfig
from softphone.provisioning import BootPlan, Enrollment, boot_device
from softphone.provisioning import boot as boot_module
from softphone.provisioning.boot_step import BootStep, OnBootStep
from softphone.provisioning.capf_enrollment import EnrollmentPlan, enroll
from softphone.provisioning.device_config import DeviceConfig, parse_device_config
from softphone.provisioning.enrollment_decision import EnrollmentSituation, decide_enrollment
from softphone.provisioning.signed_file import decrypt_file, verify_file
from softphone.provisioning.tftp.client import TftpDownload
from softphone.provisioning.tftp.server import TftpServer
from softphone.sans_io import Flow, PeerIdentity, Target, Transmit, Transport
from softphone.security import KeyMaterial
from softphone.trust import (
    Bootstrap,
    CapfOperation,
    FileRefused,
    IdentityStore,
    TrustLists,
    fingerprint_of,
    parse_trust_list,
)
from softphone.trust.capf.client import CapfClient
from softphone.trust.capf.message import CapfMessage, CapfTag
from softphone.trust.capf.session import CapfRequest
from softphone.trust.lists.file_crypto import device_key
from softphone.trust.lists.trust_list import Role, verify_trust_list
from softphone.trust.tvs.message import TvsAnswer
from softphone.trust.tvs.tvs import TvsClient, TvsServer
from tests.golden.dump import digest, octets
from tests.golden.transcript import Transcript, record
from tests.support.capf import FLOW, WALL, device_identity, message_of, transcript
from tests.support.cisco import DATA, LISTS, SIGNED, certificate, der, vector
from tests.support.clock import seeded_entropy
from tests.support.cluster import Shelf
from tests.support.link import LinkQuality
from tests.support.tftp import TARGET
from tests.support.tftp import World as TftpWorld
from tests.trust.test_capf_transcripts import CASES, Case, new_server, request_of, take_events

SIGNATURES = (CapfTag.SIGNED_DATA, CapfTag.SHA2_SIGNED_DATA)
PINS = Bootstrap(
    frozenset(fingerprint_of(certificate(name)) for name in ("keys/sast", "keys/itlrecovery"))
)


# CAPF -------------------------------------------------------------------------------------------


def capf() -> str:
    """Every recorded dialogue, with our client at one end, and with our server at the other."""
    return "".join(_client_of(case) + _server_of(case) for case in CASES)


def _client_of(case: Case) -> str:
    written = Transcript()
    written.title(f"client: {case.stem}")
    client = CapfClient(request_of(case), wall=WALL)
    record(client, written, "client", text=False)
    client.connected(flow=FLOW, now=0.0)
    for speaker, data in transcript(case.stem):
        if speaker == "S":
            client.receive(data, flow=FLOW, now=0.0)
            take_events(case, client)
            for transmit in client.transmits():
                _elements(written, transmit)
    text = written.text
    return _masked(text) if case.identity == "lsc-ec" else text


def _server_of(case: Case) -> str:
    written = Transcript()
    written.title(f"server: {case.stem}")
    server = new_server(case, sudi_names_device=not case.sudi)
    record(server, written, "server", text=False)
    server.connected(flow=FLOW, now=0.0)
    for speaker, data in transcript(case.stem):
        if speaker == "S":
            for transmit in server.transmits():
                _elements(written, transmit)
        else:
            server.receive(data, flow=FLOW, now=0.0)
            while server.next_event() is not None:
                pass
    return written.text


def _elements(written: Transcript, transmit: Transmit) -> None:
    """The elements of a message, by tag."""
    left = transmit.data
    while left:
        length = 8 + int.from_bytes(left[6:8], "big")
        message: CapfMessage = message_of(left[:length])
        left = left[length:]
        for tag, value in message.elements.items():
            written.write("  element", f"{int(message.command)} {int(tag)} {octets(value)}")


def _masked(text: str) -> str:
    """Without the ECDSA signatures, and the length and digest of the message that holds them."""
    kept: list[str] = []
    sent = 0
    for line in text.splitlines():
        words = line.split()
        if " send " in line:
            sent = len(kept)
        if words[1] == "element" and int(words[3]) in map(int, SIGNATURES):
            kept[sent] = " ".join([*kept[sent].split()[:5], "masked"])
            kept.append(" ".join([*words[:4], "masked"]))
        else:
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)


# TVS --------------------------------------------------------------------------------------------

TVS = (
    Target(Transport.TLS, "tvs1.example.test", 2445),
    Target(Transport.TLS, "tvs2.example.test", 2445),
)


def _tvs_flow(number: int, fingerprint: str | None) -> Flow:
    identity = None
    if fingerprint is not None:
        identity = PeerIdentity("CN=tvs", (), fingerprint, "TLSv1.3", "TLS_AES_128_GCM_SHA256")
    return Flow(number, Transport.TLS, ("192.0.2.1", 4000), ("192.0.2.2", 2445), identity)


def tvs() -> str:
    """Questions and answers, from the cache, of the second server, of none."""
    trusted = fingerprint_of(der("keys/tvs"))
    now = 0.0
    written = Transcript(lambda: now)
    client = TvsClient(
        TVS, trusted=[trusted], device_name="CP-8845-SEP001122334455", entropy=seeded_entropy(1)
    )
    known = {
        der("keys/callmanager"): TvsAnswer(True, (Role.CCM_TFTP,), 100),
        der("keys/appserver"): TvsAnswer(True, (Role.APP_SERVER,), 3600),
        der("keys/rogue"): TvsAnswer(False, (), 10),
    }
    server = TvsServer(known.get)
    record(client, written, "client", text=False)
    record(server, written, "server", text=False)
    numbers = itertools.count(7001)
    names = ("callmanager", "callmanager", "appserver", "rogue", "capf", "callmanager")
    names += ("rogue", "rogue", "rogue", "appserver")
    for at, name in enumerate(names):
        now = at * 40.0
        written.title(f"asked about {name}")
        client.query_certificate(der(f"keys/{name}"), now=now)
        shown = trusted if at != 3 else "00" * 32
        for transmit in client.transmits():
            if at == 2:
                client.disconnected(flow=transmit.to, reason="refused", now=now)
                continue
            if isinstance(transmit.to, Flow):
                written.write("client", "closes the last connection")
                continue
            flow = _tvs_flow(next(numbers), shown)
            client.connected(flow=flow, now=now, target=transmit.to)
        for question in client.transmits():
            _served(client, server, question, now, trusted, numbers)
        while client.next_event() is not None or server.next_event() is not None:
            pass
    due = client.next_timer()
    if due is not None:
        now = due
        client.handle_timer(now=now)
        client.next_event()
    return written.text


def _served(
    client: TvsClient,
    server: TvsServer,
    question: Transmit,
    now: float,
    trusted: str,
    numbers: itertools.count[int],
) -> None:
    """One question is carried to the server, and its answer back."""
    flow = question.to
    if isinstance(flow, Target):
        flow = _tvs_flow(next(numbers), trusted)
        client.connected(flow=flow, now=now, target=question.to)
        question = client.transmits()[0]
    far = _tvs_flow(next(numbers), None)
    server.connected(flow=far, now=now)
    server.receive(question.data, flow=far, now=now)
    for answer in server.transmits():
        middle = len(answer.data) // 2
        for piece in (answer.data[:middle], answer.data[middle:]):
            client.receive(piece, flow=flow, now=now)


# Files ------------------------------------------------------------------------------------------


def tftp() -> str:
    """Downloads over a good and a bad link, of a file that is missing, or too large."""
    texts = []
    content = bytes(index * 7 % 251 for index in range(9000))
    cases = (
        ("whole", "CSFALICE.cnf.xml", LinkQuality(), {}),
        ("lossy", "CSFALICE.cnf.xml", LinkQuality(loss=0.25, duplicate=0.1, jitter=0.05), {}),
        ("missing", "none.xml", LinkQuality(), {}),
        ("too large", "CSFALICE.cnf.xml", LinkQuality(), {"limit": 4000}),
        ("nobody", "CSFALICE.cnf.xml", LinkQuality(loss=1.0), {}),
    )
    for title, name, quality, options in cases:
        download = TftpDownload(name, TARGET, **options)
        server = TftpServer(lambda asked: content if asked == "CSFALICE.cnf.xml" else None)
        world = TftpWorld(download, server, quality, seed=4)
        written = Transcript(lambda world=world: world.clock.now)
        written.title(title)
        record(download, written, "client", text=False)
        record(server, written, "server", text=False)
        world.run()
        while server.next_event() is not None:
            pass
        texts.append(written.text)
    return "".join(texts)


def files() -> str:
    """What every trust list and every signed or encrypted file is found to be."""
    written = Transcript()
    lists = {}
    for name in LISTS:
        found = parse_trust_list(vector(f"trust/{name}"))
        lists[name] = found
        written.write(name, written.dump.value(found))
        written.write(name, f"signed by {octets(verify_trust_list(found))}")
    for kind in ("sha1", "sha512"):
        held = TrustLists(ctl=lists[f"CTLFile-{kind}.tlv"], itl=lists[f"ITLFile-{kind}.tlv"])
        for path in SIGNED:
            _judge(written, path, held)
    for plain in sorted((DATA / "config" / "plain").iterdir()):
        written.write(plain.name, written.dump.value(parse_device_config(plain.read_bytes())))
    return written.text


def _judge(written: Transcript, path: str, held: TrustLists) -> None:
    try:
        verified = verify_file(vector(path), Path(path).name, held)
    except FileRefused as refusal:
        shown = written.dump.value(refusal.refusal)
        written.write(path, f"refused {shown} {written.dump.value(refusal)}")
        return
    written.write(path, written.dump.value(verified))
    if not verified.encrypted:
        return
    for key in sorted((DATA / "device").glob("lsc-*.pem")):
        private = device_key(device_identity(key.stem).key)
        if private is None:
            continue
        try:
            text = decrypt_file(verified, private)
        except FileRefused as refusal:
            written.write(path, f"{key.name} refused {written.dump.value(refusal.refusal)}")
        else:
            written.write(path, f"{key.name} {octets(text)}")


def decisions() -> str:
    """When a device enrolls: every row of the table."""
    written = Transcript()
    ours, other = "ab" * 16, "cd" * 16
    flags = (True, False)
    rows = itertools.product(range(5), flags, flags, flags, (ours, other, "", None), flags, flags)
    for mode, full, encrypted, secure, local, string, enrolled in rows:
        config = DeviceConfig(
            full=full,
            security_mode=3 if secure else 1,
            transport=3 if secure else 2,
            capf_auth_mode=mode,
            encrypted=encrypted,
            certificate_hash=ours,
        )
        found = decide_enrollment(
            config, EnrollmentSituation(local, string=string, enrolled=enrolled)
        )
        known = {ours: "ours", other: "other"}.get(local or "", str(local) or "none")
        row = f"{mode} {full:d}{encrypted:d}{secure:d}{string:d}{enrolled:d} {known}"
        why = digest(found.why.encode())[:8]
        written.write(row, f"{written.dump.value(found.action)} {why}")
    return written.text


# Boots ------------------------------------------------------------------------------------------

BOOTS: tuple[tuple[str, str, dict[str, str], str], ...] = (
    (
        "SEP001122334455",
        "sha512",
        {
            "sgn": "enc-sha512/SEP001122334455.cnf.xml.sgn",
            "enc.sgn": "enc-sha512/SEP001122334455.cnf.xml.enc.sgn",
        },
        "lsc-rsa-new",
    ),
    (
        "SEP001122334455",
        "sha1",
        {
            "sgn": "enc-sha1/SEP001122334455.cnf.xml.sgn",
            "enc.sgn": "enc-sha1/SEP001122334455.cnf.xml.enc.sgn",
        },
        "lsc-rsa-new",
    ),
    (
        "CSFALICE",
        "sha512",
        {
            "sgn": "enc-sha512/CSFALICE.cnf.xml.sgn",
            "enc.sgn": "enc-sha512/CSFALICE.cnf.xml.enc.sgn",
        },
        "lsc-rsa3072",
    ),
    ("CSFBOB", "sha512", {"sgn": "sgn/CSFBOB.cnf.xml.sgn"}, ""),
    ("CSFALICE", "sha512", {"sgn": "sgn/CSFALICE.sha512.cnf.xml.sgn"}, ""),
    ("CSFALICE", "sha512", {"sgn": "sgn/CSFALICE.rogue.cnf.xml.sgn"}, ""),
    ("CSFALICE", "sha512", {"sgn": "sgn/CSFALICE.wrongname.cnf.xml.sgn"}, ""),
    ("CSFALICE", "rogue", {}, ""),
)


async def boots() -> str:
    """Whole boots from recorded files: steps, requests of CAPF, what is stored."""
    written = Transcript()
    for device, kind, names, key in BOOTS:
        shelf = Shelf(
            {
                name: vector(path)
                for name, path in (
                    (f"CTL{device}.tlv", f"trust/CTLFile-{kind}.tlv"),
                    (f"ITL{device}.tlv", f"trust/ITLFile-{kind}.tlv"),
                )
                if (DATA / path).exists()
            }
            | {
                f"{device}.cnf.xml.{ending}": vector(f"config/{path}")
                for ending, path in names.items()
            }
        )
        written.title(f"{device}, {kind}, {key or 'no certificate'}")
        with tempfile.TemporaryDirectory() as folder:
            if key:
                IdentityStore(folder).replace(device, device_identity(key))
            for string in (None,) if key else (None, KeyMaterial(b"4711")):
                await _boot(written, device, shelf, Path(folder), string)
    return written.text


async def _boot(
    written: Transcript, device: str, shelf: Shelf, folder: Path, string: KeyMaterial | None
) -> None:
    async def enrolled(
        request: CapfRequest, plan: EnrollmentPlan, store: IdentityStore, *, on_progress: OnBootStep
    ) -> Enrollment:
        shown = (request.device, request.string, request.version, plan.servers)
        written.write("capf", f"asked {written.dump.value(shown)}")
        return Enrollment(CapfOperation.NONE, plan.servers[0])

    def tell(step: BootStep) -> None:
        text = written.dump.value(step)
        written.write("step", text.replace(str(folder), "FOLDER"))

    shelf.asked.clear()
    plan = BootPlan(
        device,
        [shelf],
        folder,
        PINS,
        string=string,
        entropy=bytes,
        driver=DriverConfig(wall=lambda: WALL),
    )
    with patch.object(boot_module, enroll.__name__, enrolled):
        try:
            found = await boot_device(plan, tell)
        except SoftphoneError as exc:
            written.write("boot", written.dump.value(exc).replace(str(folder), "FOLDER"))
        else:
            shown = (found.configuration, found.identity, found.installation)
            written.write("boot", written.dump.value(shown))
    written.write("shelf", f"asked {written.dump.value(shelf.asked)}")
    _stored(written, folder)


def _stored(written: Transcript, folder: Path) -> None:
    """What a boot has left in its store, but for keys."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".pem":
            written.write("stored", f"{path.name} {octets(path.read_bytes())}")


TRANSCRIPTS: dict[str, Callable[[], str]] = {
    "boot-capf": capf,
    "boot-tvs": tvs,
    "boot-tftp": tftp,
    "boot-files": files,
    "boot-decisions": decisions,
    "boot-whole": lambda: asyncio.run(boots()),
}

"""Every recorded CAPF dialogue, replayed from both ends.

As client against the recorded server and as server against the recorded client, byte for byte; only
ECDSA signatures, which are never the same twice, are verified instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from softphone.security import KeyMaterial
from softphone.trust.capf import (
    CapfClient,
    CapfFailed,
    CapfFinished,
    CapfNotShown,
    CapfOperation,
    CapfRefused,
    CapfRequest,
    CapfUnknownDevice,
    CertificateIssued,
    CertificateShown,
    DeletionWanted,
    KeyWanted,
)
from softphone.trust.capf.issued_certificate import parse_certificate
from softphone.trust.capf.key_proof import check_proof
from softphone.trust.capf.message import CapfCommand, CapfTag, certificate_of
from softphone.trust.capf.server import (
    CapfAuthentication,
    CapfDevice,
    CapfServer,
    CapfServerConfig,
    CapfSessionEnded,
    CertificateCommitted,
)
from softphone.trust.csr import KeyKind
from tests.support.capf import (
    DATA,
    FLOW,
    WALL,
    anchor,
    device_identity,
    events_of,
    key_identity,
    message_of,
    sent,
    transcript,
)

SEP, SEP_EC, SEP_B = "SEP001122334455", "SEP0011223344EC", "SEPAABBCCDDEEFF"
CSF = "CSFALICE"
NONE, INSTALL = CapfOperation.NONE, CapfOperation.INSTALL
FETCH, DELETE = CapfOperation.FETCH, CapfOperation.DELETE


@dataclass(frozen=True)
class Case:
    """One dialogue: who, with what, for what; `error` is how the client's session fails."""

    stem: str
    device: str
    operation: CapfOperation
    string: str = ""
    identity: str = ""
    sudi: str = ""
    key: KeyKind = KeyKind.RSA_2048
    error: type | None = None
    expected: str = ""
    demanded: CapfAuthentication | None = None

    @property
    def authentication(self) -> CapfAuthentication:
        if self.demanded is not None:
            return self.demanded
        return CapfAuthentication.STRING if self.string else CapfAuthentication.NULL_STRING


CERTIFICATE = CapfAuthentication.CERTIFICATE
CASES = [
    Case("capf-01-password-install-rsa2048", SEP, INSTALL, "12345678"),
    Case("capf-02-password-install-ec384", SEP_EC, INSTALL, "98765", key=KeyKind.EC_P384),
    Case("capf-03-lsc-upgrade-rsa2048", SEP, INSTALL, identity="lsc-rsa-old", demanded=CERTIFICATE),
    Case(
        "capf-04-lsc-ec-with-mic-sudi-upgrade-ec256",
        SEP_EC,
        INSTALL,
        identity="lsc-ec",
        sudi="mic",
        key=KeyKind.EC_P256,
        demanded=CERTIFICATE,
    ),
    Case(
        "capf-05-mic-install-rsa3072",
        SEP,
        INSTALL,
        identity="mic",
        key=KeyKind.RSA_3072,
        demanded=CERTIFICATE,
    ),
    Case("capf-06-nopassword-install-rsa2048", SEP_B, INSTALL),
    Case("capf-07-fetch", SEP_B, FETCH),
    Case("capf-08-delete", SEP_B, DELETE),
    Case("capf-09-no-operation", SEP_B, NONE),
    Case("capf-10-unknown-device", "SEP0000DEADBEEF", NONE, error=CapfUnknownDevice),
    Case("capf-11-wrong-password", SEP_B, INSTALL, "22222", error=CapfRefused, expected="11111"),
    Case("capf-12-fetch-nothing-installed", SEP_B, FETCH, "11111", error=CapfNotShown),
    Case("capf-13-delete-nothing-installed", SEP_B, DELETE, "11111"),
    Case("capf-14-csf-password-install-rsa2048", CSF, INSTALL, "4711"),
    Case("capf-15-csf-lsc-upgrade-rsa2048", CSF, INSTALL, identity="lsc-csf", demanded=CERTIFICATE),
    Case(
        "capf-16-certificate-required-none-sent",
        CSF,
        INSTALL,
        error=CapfRefused,
        demanded=CERTIFICATE,
    ),
    Case(
        "capf-17-certificate-unknown-issuer",
        CSF,
        INSTALL,
        identity="rogue",
        error=CapfRefused,
        demanded=CERTIFICATE,
    ),
]
all_cases = pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])


def identity_of(name: str):
    return None if not name else key_identity(name) if name == "rogue" else device_identity(name)


def recorded(case: Case, speaker: str, command: CapfCommand) -> dict[int, bytes]:
    """The elements of the one recorded message with this command, {} when there is none."""
    messages = [message_of(data) for who, data in transcript(case.stem) if who == speaker]
    return next((dict(m.elements) for m in messages if m.command == command), {})


def shown_certificate(case: Case) -> bytes | None:
    value = recorded(case, "C", CapfCommand.FETCH_CERTIFICATE_RESPONSE).get(CapfTag.CERTIFICATE)
    return None if value is None else certificate_of(value)


def request_of(case: Case) -> CapfRequest:
    return CapfRequest(
        case.device,
        string=KeyMaterial(case.string.encode()) if case.string else None,
        identity=identity_of(case.identity),
        sudi=identity_of(case.sudi),
        current=shown_certificate(case),
        issuers=(anchor("capf"),),
        strict=True,
    )


def take_events(case: Case, client: CapfClient) -> list:
    """Do what the client asks for, with the recorded key."""
    events = events_of(client)
    for event in events:
        if isinstance(event, KeyWanted):
            assert event.kind is case.key
            answer = recorded(case, "C", CapfCommand.KEY_GENERATE_RESPONSE)
            client.key_made(answer[CapfTag.PUBLIC_KEY], now=0.0)
        elif isinstance(event, CertificateIssued):
            client.stored(now=0.0)
        elif isinstance(event, DeletionWanted):
            answer = recorded(case, "C", CapfCommand.DELETE_CERTIFICATE_RESPONSE)
            client.deleted(answer[CapfTag.REASON] == b"\1", now=0.0)
    return events


def same(ours: bytes, theirs: bytes, case: Case) -> None:
    """Byte for byte, but for ECDSA signatures."""
    if case.identity != "lsc-ec" or message_of(theirs).command != CapfCommand.AUTH_RESPONSE:
        assert ours.hex() == theirs.hex()
        return
    mine, wanted = message_of(ours), message_of(theirs)
    signatures = {CapfTag.SIGNED_DATA, CapfTag.SHA2_SIGNED_DATA}
    for message in (mine, wanted):
        elements = message.elements
        der = certificate_of(elements[CapfTag.CERTIFICATE])
        assert check_proof(
            parse_certificate(der),
            der,
            case.device.encode(),
            *(elements[tag] for tag in sorted(signatures)),
        )
    rest = [{t: v for t, v in m.elements.items() if t not in signatures} for m in (mine, wanted)]
    assert rest[0] == rest[1]


@all_cases
def test_our_client_says_what_the_recorded_client_said(case):
    client = CapfClient(request_of(case), wall=WALL)
    client.connected(flow=FLOW, now=0.0)
    said, events = b"", []
    for speaker, data in transcript(case.stem):
        if speaker == "S":
            assert said == b""
            client.receive(data, flow=FLOW, now=0.0)
            events += take_events(case, client)
            said = sent(client)
            continue
        same(whole(said), data, case)
        said = said[len(whole(said)) :]
    assert said == b""
    if case.error is not None:
        assert isinstance(events[-1], CapfFailed)
        assert type(events[-1].error) is case.error
    else:
        assert events[-1] == CapfFinished(case.operation)
    if case.operation is FETCH:
        assert CertificateShown(shown_certificate(case) is not None) in events


def whole(data: bytes) -> bytes:
    """The first message of a stream."""
    return data[: 8 + int.from_bytes(data[6:8], "big")] if data else b""


def new_server(case: Case, *, sudi_names_device: bool) -> CapfServer:
    first = message_of(transcript(case.stem)[0][1]).session
    issued = recorded(case, "S", CapfCommand.STORE_CERTIFICATE_REQUEST)
    expected = case.expected or case.string
    devices = [
        CapfDevice(
            case.device,
            case.operation,
            case.authentication,
            KeyMaterial(expected.encode()) if expected else None,
            case.key,
        )
    ]
    return CapfServer(
        [] if case.error is CapfUnknownDevice else devices,
        issue=lambda device, key: certificate_of(issued[CapfTag.CERTIFICATE]),
        entropy=lambda count: first.to_bytes(count, "big"),
        wall=lambda: WALL,
        config=CapfServerConfig(
            issuers=(anchor("capf"), anchor("mfgca")), sudi_names_device=sudi_names_device
        ),
    )


@all_cases
def test_our_server_says_what_the_recorded_server_said(case):
    # In capf-04 the MIC that binds the session is another device's, which its server let pass.
    server = new_server(case, sudi_names_device=not case.sudi)
    server.connected(flow=FLOW, now=0.0)
    events = []
    for speaker, data in transcript(case.stem):
        if speaker == "S":
            assert sent(server).hex() == data.hex()
        else:
            server.receive(data, flow=FLOW, now=0.0)
            events += events_of(server)
    assert sent(server) == b""
    ended = events[-1]
    assert isinstance(ended, CapfSessionEnded)
    assert ended.reason == message_of(transcript(case.stem)[-1][1]).elements[CapfTag.REASON][0]
    assert ended.certificate == shown_certificate(case)
    if case.operation is INSTALL and case.error is None:
        assert isinstance(events[0], CertificateCommitted)
        assert server.devices[case.device].certificate == events[0].certificate
    if case.error is None:
        assert server.devices[case.device].operation is NONE


def test_the_mic_that_binds_the_session_must_name_the_device_unless_told_otherwise():
    case = next(case for case in CASES if case.sudi)
    server = new_server(case, sudi_names_device=True)
    server.connected(flow=FLOW, now=0.0)
    sent(server)
    server.receive(transcript(case.stem)[1][1], flow=FLOW, now=0.0)
    (ended,) = events_of(server)
    assert (ended.reason, "binds the session" in ended.why) == (7, True)


def test_every_recorded_dialogue_is_replayed():
    assert sorted(path.stem for path in (DATA / "capf").iterdir()) == [c.stem for c in CASES]

"""Peers that FIPS mode has no word with, each a real one; what makes it one is shown without it.

The client's settings let pass whatever a setting can: in FIPS mode it is refused all the same,
and the peer has seen no byte of application data.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.peers.process import free_port
from tests.support import fips
from tests.support.programs import need
from tests.support.waiting import PATIENCE

HOST = "127.0.0.1"

CLIENT = """
import asyncio, json, sys
from softphone.sans_io import Target, Transport
from softphone.security import Relaxation
from softphone.trust import TlsSettings, TrustStore
from tests.support.recorder import Recorder, client_driver

async def reach(port, ca, asked):
    async def yes(question):
        asked.append(question.fingerprint)
        return True
    recorder = Recorder()
    store = TrustStore.from_sources(ca) if ca else TrustStore()
    settings = TlsSettings(store=store, allow=frozenset(Relaxation), unknown=yes)
    async with client_driver(recorder, settings) as driver:
        try:
            flow = await driver.open_flow(Target(Transport.TLS, "127.0.0.1", port, "127.0.0.1"))
        except Exception as error:
            return [type(error).__name__, str(error), len(asked)]
        with driver.change():
            recorder.send(b"REGISTER sip:somewhere SIP/2.0\\r\\n", flow)
        await asyncio.sleep(0.3)
        return ["connected", flow.identity.protocol + " " + flow.identity.cipher, len(asked)]

async def main():
    peers = json.loads(sys.argv[1])
    print(json.dumps({name: await reach(*where, []) for name, where in peers.items()}))

asyncio.run(main())
"""


class Authority:
    """Certificates by OpenSSL's program, which makes weak ones when told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.crt"
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-sha256",
                 "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                 "-addext", "subjectKeyIdentifier=hash",
                 "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.crt")  # fmt: skip
        (folder / "leaf.ext").write_text(
            f"subjectAltName=IP:{HOST}\nextendedKeyUsage=serverAuth\n"
            "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        )

    def run(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments],
            cwd=self.folder,
            env=fips.plain_environment() | {"OPENSSL_CONF": "/dev/null"},
            capture_output=True,
            check=True,
        )

    def leaf(self, name: str, *, digest: str = "sha256", bits: int = 2048, days: int = 5) -> None:
        request = ("req", "-new", "-newkey", f"rsa:{bits}", "-nodes", "-subj", f"/CN={name}")
        self.run(*request, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        dates = ("-not_before", "20200101000000Z", "-not_after", "20210101000000Z")
        dates = ("-days", str(days)) if days > 0 else dates
        self.run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                 f"-{digest}", *dates, "-extfile", "leaf.ext", "-out", f"{name}.crt")  # fmt: skip


WEAK = ("-cipher", "ALL:@SECLEVEL=0")
PEERS: dict[str, tuple[str, tuple[str, ...]]] = {
    # name: certificate, options of the server
    "sound": ("good", ()),
    "tls-1.1": ("good", ("-tls1_1", *WEAK)),
    "chacha20-1.3": ("good", ("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256")),
    "chacha20-1.2": ("good", ("-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305")),
    "x25519": ("good", ("-tls1_3", "-groups", "X25519")),
    "rsa-1024": ("small", WEAK),
    "sha-1": ("sha1", WEAK),
    "md5": ("md5", WEAK),
    "expired": ("old", ()),
    "unknown": ("good", ()),
}
LET_PASS = ("sound", "chacha20-1.3", "chacha20-1.2", "x25519", "rsa-1024", "sha-1", "unknown")
"""What connects outside FIPS mode with these settings, so that the refusal is FIPS mode's."""


class Server:
    """`openssl s_server`; `heard` is what it was sent within TLS."""

    def __init__(self, folder: Path, certificate: str, options: tuple[str, ...]) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-quiet", "-accept", f"{HOST}:{self.port}",
             "-cert", f"{certificate}.crt", "-key", f"{certificate}.key", *options],
            cwd=folder,
            env=fips.plain_environment() | {"OPENSSL_CONF": "/dev/null"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def wait(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server has ended"
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the server does not listen")

    def stop(self) -> bytes:
        """End it; gives what it was sent."""
        self.process.terminate()
        return self.process.communicate(timeout=PATIENCE)[0]


def play(folder: Path, *, on: bool) -> tuple[dict[str, list], dict[str, bytes]]:
    """Reach every peer once; gives the outcomes, and what each peer was sent."""
    servers = {name: Server(folder, *given) for name, given in PEERS.items()}
    try:
        for server in servers.values():
            server.wait()
        ca = str(folder / "ca.crt")
        where = {name: [s.port, "" if name == "unknown" else ca] for name, s in servers.items()}
        if on:
            said = fips.in_fips_mode(CLIENT, json.dumps(where))
        else:
            ended = fips.python(
                CLIENT, env=fips.plain_environment(), arguments=(json.dumps(where),)
            )
            assert ended.returncode == 0, ended.stderr
            said = ended.stdout
    finally:
        heard = {name: server.stop() for name, server in servers.items()}
    return json.loads(said), heard


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    need("openssl")
    folder = tmp_path_factory.mktemp("peers")
    authority = Authority(folder)
    authority.leaf("good")
    authority.leaf("small", bits=1024)
    authority.leaf("sha1", digest="sha1")
    authority.leaf("md5", digest="md5")
    authority.leaf("old", days=0)
    return folder


@pytest.fixture(scope="module")
def outside(folder):
    return play(folder, on=False)


@pytest.fixture(scope="module")
def inside(folder):
    fips.setup()
    return play(folder, on=True)


@pytest.mark.parametrize("name", LET_PASS)
def test_outside_fips_mode_these_peers_are_reached(outside, name):
    assert outside[0][name][0] == "connected", outside[0][name]
    assert outside[1][name].startswith(b"REGISTER ")


def test_in_fips_mode_a_sound_peer_is_reached(inside):
    assert inside[0]["sound"] == ["connected", "TLSv1.3 TLS_AES_256_GCM_SHA384", 0]
    assert inside[1]["sound"].startswith(b"REGISTER ")


@pytest.mark.parametrize("name", [name for name in PEERS if name != "sound"])
def test_in_fips_mode_it_is_refused_and_has_seen_no_data(inside, name):
    outcome, _, asked = inside[0][name]
    assert outcome != "connected"
    assert asked == 0, "nobody is asked in FIPS mode"
    assert inside[1][name] == b""


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("rsa-1024", "CertificateUntrusted"),
        ("sha-1", "CertificateUntrusted"),
        ("md5", "CertificateUntrusted"),
        ("expired", "CertificateExpired"),
        ("unknown", "CertificateUnknown"),
        ("tls-1.1", "TransportError"),
        ("x25519", "TransportError"),
    ],
)
def test_the_refusal_has_its_cause(inside, name, outcome):
    assert inside[0][name][0] == outcome, inside[0][name]

"""The log of TLS keys: its file is ours alone, no environment names it, and it opens a session."""

from __future__ import annotations

import os
import ssl
import stat
from contextlib import suppress
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from softphone.errors import ConfigurationError, FipsForbidden
from softphone.openssl_provider import fips_in_force
from softphone.security import ClientCertificates, TlsVersion
from softphone.trust import client_context, key_log, probe_context, server_context
from softphone.trust.key_log import prepare_key_log
from tests.support.certificates import server, settings

not_in_fips_mode = pytest.mark.skipif(fips_in_force(), reason="no key is logged in FIPS mode")

SECRETS_1_3 = {
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
    "EXPORTER_SECRET",
}


@pytest.fixture
def tls(tmp_path):
    """Settings of both ends of a connection."""
    return settings(tmp_path, server(), "server", client_certificates=ClientCertificates.NONE)


class Wire:
    """A client and a server in memory; `sent` is what the client has sent."""

    def __init__(self, near, far):
        to_far, to_near = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._out, self._in = ssl.MemoryBIO(), to_far
        self.client = near.wrap_bio(to_near, self._out, server_hostname="127.0.0.1")
        self.server = far.wrap_bio(to_far, to_near, server_side=True)
        self.sent = b""
        for _ in range(4):
            for end in (self.client, self.server):
                with suppress(ssl.SSLWantReadError):
                    end.do_handshake()
                self.flush()

    def flush(self):
        data = self._out.read()
        self._in.write(data)
        self.sent += data
        return data


def secrets_in(path):
    """The lines of a log: secret and client random by label."""
    lines = [line.split(" ") for line in path.read_text().splitlines() if line[:1] != "#"]
    return {
        label: (bytes.fromhex(random), bytes.fromhex(secret)) for label, random, secret in lines
    }


def expand(secret, label, size):
    """HKDF-Expand-Label without context (RFC 8446 section 7.1)."""
    name = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0"
    return HKDFExpand(SHA384(), size, info).derive(secret)


@not_in_fips_mode
def test_the_log_opens_what_the_session_has_sent(tls, tmp_path):
    path = tmp_path / "keys.log"
    wire = Wire(client_context(replace(tls, key_log=path)), server_context(tls))
    assert wire.client.version() == "TLSv1.3"
    assert wire.client.cipher()[0] == "TLS_AES_256_GCM_SHA384"
    found = secrets_in(path)
    assert found.keys() == SECRETS_1_3
    # Record header, handshake header and version: then the random of the ClientHello.
    assert {random for random, _ in found.values()} == {wire.sent[11:43]}
    wire.client.write(b"REGISTER sip:secret")
    record = wire.flush()
    secret = found["CLIENT_TRAFFIC_SECRET_0"][1]
    key, iv = expand(secret, b"key", 32), expand(secret, b"iv", 12)
    # The first record of application data has the number 0.
    assert AESGCM(key).decrypt(iv, record[5:], record[:5]) == b"REGISTER sip:secret\x17"


@not_in_fips_mode
def test_a_session_of_tls_1_2_and_a_listener_have_theirs(tls, tmp_path):
    near, far = tmp_path / "near.log", tmp_path / "far.log"
    old = replace(tls, maximum=TlsVersion.TLS_1_2)
    wire = Wire(
        client_context(replace(old, key_log=near)), server_context(replace(old, key_log=far))
    )
    assert wire.client.version() == "TLSv1.2"
    assert near.read_text() == far.read_text()
    assert secrets_in(near)["CLIENT_RANDOM"][0] == wire.sent[11:43]
    assert len(secrets_in(near)["CLIENT_RANDOM"][1]) == 48


@not_in_fips_mode
@pytest.mark.parametrize("make", [client_context, probe_context, server_context])
def test_no_context_takes_the_log_from_the_environment(tls, tmp_path, monkeypatch, make):
    path = tmp_path / "from-environment.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    assert make(tls).keylog_filename is None
    near, far = client_context(tls), server_context(tls)
    Wire(near, far)
    assert not path.exists()
    named = tmp_path / "named.log"
    Wire(client_context(replace(tls, key_log=named)), far)
    assert named.exists()
    assert not path.exists()


@not_in_fips_mode
def test_a_new_file_is_for_its_owner_whatever_the_umask(tmp_path):
    path = tmp_path / "keys.log"
    before = os.umask(0)
    try:
        prepare_key_log(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@not_in_fips_mode
def test_a_file_of_ours_is_appended_to(tls, tmp_path):
    path = tmp_path / "keys.log"
    path.touch(0o600)
    path.write_text("# earlier\n")
    Wire(client_context(replace(tls, key_log=path)), server_context(tls))
    assert path.read_text().startswith("# earlier\n")
    assert secrets_in(path).keys() == SECRETS_1_3


@not_in_fips_mode
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_can_open_is_refused(tls, tmp_path, mode):
    path = tmp_path / "keys.log"
    path.touch()
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=r"others could read the TLS keys: chmod 600"):
        client_context(replace(tls, key_log=path))
    assert path.read_bytes() == b""


@not_in_fips_mode
def test_what_is_no_file_of_its_own_is_refused(tmp_path):
    real, link, pipe = (tmp_path / name for name in ("real", "link", "pipe"))
    real.touch(0o600)
    link.symlink_to(real)
    os.mkfifo(pipe, 0o600)
    for path, why in (
        (link, "it is a link"),
        (tmp_path, "Is a directory"),
        (pipe, "No such device or address"),  # nobody reads from it
        (tmp_path / "none" / "keys.log", "No such file or directory"),
    ):
        with pytest.raises(ConfigurationError, match=f"cannot be logged there: {why}"):
            prepare_key_log(path)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(ConfigurationError, match="not a regular file"):
            prepare_key_log(pipe)
    finally:
        os.close(reader)
    assert real.read_bytes() == b""


@not_in_fips_mode
def test_a_folder_in_which_others_can_replace_it_is_refused(tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    prepare_key_log(shared / "keys.log")  # as in /tmp, only its owner can remove it
    shared.chmod(0o777)
    with pytest.raises(ConfigurationError, match="others can write in its folder"):
        prepare_key_log(shared / "other.log")
    assert not (shared / "other.log").exists()
    monkeypatch.setattr(key_log, "is_foreign", lambda status: stat.S_ISDIR(status.st_mode))
    shared.chmod(0o755)
    with pytest.raises(ConfigurationError, match="others can write in its folder"):
        prepare_key_log(shared / "keys.log")
    monkeypatch.setattr(key_log, "has_permission_bits", lambda: False)
    prepare_key_log(shared / "keys.log")


def test_in_fips_mode_no_key_is_logged(tls, tmp_path, monkeypatch):
    monkeypatch.setattr(key_log, "fips_in_force", lambda: True)
    path = tmp_path / "keys.log"
    with pytest.raises(FipsForbidden, match="cannot be logged in FIPS mode"):
        client_context(replace(tls, key_log=path))
    assert not path.exists()

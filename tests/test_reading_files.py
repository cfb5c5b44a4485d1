"""A file that is named and is none, as a pipe that nobody writes into, is an error at once."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

import softphone
from softphone.campaign.call_list import read_text_file
from softphone.cli.diagnose.explain import _read as read_explained
from softphone.cli.discovery.discovery_config import read_password
from softphone.cli.load.kept_limits import read_kept
from softphone.cli.trust.lists import _read as read_list
from softphone.config.account_file import load_account
from softphone.config.token_source import _read as read_token_file
from softphone.config.toml_reader import read_text
from softphone.errors import SoftphoneError
from softphone.lab.account_files import _kept_key
from softphone.load.compare.summary_file import read_runs
from softphone.load.plan.arrival import parse_arrival
from softphone.load.plan.users import UserSpec, password_of, read_users
from softphone.load.sipp.elements.xml_elements import read_elements
from softphone.load.sipp.injection import read_injection
from softphone.load.sipp.media.packet_file import read_packets
from softphone.load.sipp.media.rtp_stream import read_stream
from softphone.media.audio import WavSource
from softphone.messaging.files.transfer import _opened
from softphone.operating_system import open_to_read, read_file
from softphone.provisioning.config_store import _read as read_stored_config
from softphone.trust import IdentityStore, TlsCredential, TrustListStore, TrustStore
from softphone.trust.certificate import load_certificate_file
from softphone.trust.tls_settings import check_credential
from tests.support.certificates import alice
from tests.support.waiting import PATIENCE

SOURCE = Path(softphone.__file__).parent

READERS: dict[str, Callable[[Path], object]] = {
    "account file": load_account,
    "list of callees": read_text_file,
    "file of explain": read_explained,
    "password of a user": lambda path: read_password(
        SimpleNamespace(warn=print),  # type: ignore[arg-type]
        path,
        "--password-file",
    ),
    "limits": read_kept,
    "trust list": read_list,
    "text": read_text,
    "token": read_token_file,
    "key of the lab": lambda path: _kept_key(path, os.urandom),
    "summary": read_runs,
    "arrivals": lambda path: parse_arrival(f"trace:{path}", rate=1.0, seed=1),
    "users": read_users,
    "password of a load user": lambda path: password_of(
        UserSpec(aor="sip:a@host", password_file=str(path))
    ),
    "scenario": read_elements,
    "injection": read_injection,
    "capture": read_packets,
    "stream": lambda path: read_stream(str(path), path.parent),
    "sound": lambda path: WavSource(path, 8000),
    "attachment": _opened,
    "stored configuration": read_stored_config,
    "certificates": load_certificate_file,
    "anchors": lambda path: TrustStore.from_sources(path),
}

FOLDERS_ARE_MEANT = {("anchors", "folder"), ("summary", "folder")}


def make(what: str, folder: Path) -> Path:
    """Something that is no file."""
    path = folder / "named.toml"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as listener, within(folder):
            listener.bind(path.name)
    return Path("/dev/zero") if what == "device" else path


class within:
    """The current folder for the time of the context: names of sockets are short."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        self._before = os.getcwd()
        os.chdir(self._folder)

    def __exit__(self, *_: object) -> None:
        os.chdir(self._before)


def outcome(read: Callable[[Path], object], path: Path) -> object:
    """What a reader gives or raises; it is not waited for longer than any other test waits."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(read(path))
        except Exception as error:
            found.append(error)

    reader = threading.Thread(target=run, daemon=True)
    reader.start()
    reader.join(PATIENCE)
    if reader.is_alive():
        with suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))  # so that the thread ends
        reader.join(PATIENCE)
        return TimeoutError("it hung")
    return found[0]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (name, what)
        for name in READERS
        for what in ("pipe", "device", "socket", "folder")
        if (name, what) not in FOLDERS_ARE_MEANT
    ],
)
def test_what_is_no_file_is_an_error_at_once(name, what, tmp_path):
    path = make(what, tmp_path)
    error = outcome(READERS[name], path)
    assert isinstance(error, SoftphoneError), error
    assert what in str(error)
    assert path.name in str(error)


@pytest.mark.parametrize("member", ["certificate", "key"])
def test_a_credential_that_is_a_pipe_is_an_error_at_once(member, tmp_path):
    made = alice().write(tmp_path, "alice")
    given = {"certificate": made.certificate, "key": made.key}
    os.mkfifo(tmp_path / "pipe")
    given[member] = tmp_path / "pipe"
    error = outcome(lambda _: check_credential(TlsCredential(**given)), tmp_path / "pipe")
    assert "it is a pipe, not a file" in str(error)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("CSFALICE.pem", lambda folder: IdentityStore(folder).load("CSFALICE")),
        ("ITLFile.tlv", lambda folder: TrustListStore(folder).held()),
        ("pins.json", lambda folder: TrustStore.open(folder)),
        ("anchors.pem", lambda folder: TrustStore.open(folder)),
    ],
)
def test_a_pipe_in_a_store_is_an_error_at_once(name, read, tmp_path):
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    os.mkfifo(store / name, 0o600)
    error = outcome(lambda _: read(store), store / name)
    assert isinstance(error, SoftphoneError), error
    assert "pipe" in str(error)


def test_a_file_is_read_as_ever_and_the_null_device_as_an_empty_one(tmp_path):
    (tmp_path / "file").write_bytes(b"octets")
    assert read_file(tmp_path / "file") == b"octets"
    assert read_file(tmp_path / "file", most=3) == b"oct"
    assert read_file(os.devnull) == b""
    with open_to_read(tmp_path / "file") as file:
        assert file.name == str(tmp_path / "file")
        assert not os.get_inheritable(file.fileno())


def test_a_pipe_that_takes_the_place_of_a_file_meanwhile_is_refused(tmp_path, monkeypatch):
    path, real = tmp_path / "file", os.stat
    path.write_bytes(b"octets")
    before = real(path)
    path.unlink()
    os.mkfifo(path)
    descriptors = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(
            os, "stat", lambda at, **more: before if at == str(path) else real(at, **more)
        )
        error = outcome(open_to_read, path)
    assert isinstance(error, OSError)
    assert error.strerror == "it is a pipe, not a file"
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_what_a_shell_gives_open_is_read():
    words = ["bash", "-c", '"$0" -c "$1" <(printf "[a]")', sys.executable]
    program = (
        "import sys; from pathlib import Path; from softphone.config.toml_reader import read_text;"
        "print(read_text(Path(sys.argv[1])))"
    )
    ended = subprocess.run([*words, program], capture_output=True, text=True, check=False)
    assert ended.stdout == "[a]\n", ended.stderr


def test_a_hosts_file_that_is_a_pipe_is_none(tmp_path, entropy):
    from softphone.net.dns import DnsResolver, ResolverConfig

    os.mkfifo(tmp_path / "hosts")
    resolver = DnsResolver(ResolverConfig(hosts_file=tmp_path / "hosts"), entropy=entropy)
    assert outcome(lambda _: resolver._hosts_entries(), tmp_path / "hosts") == {}


@pytest.mark.reads_source
def test_what_a_user_names_is_opened_in_no_other_way():
    """Modules that read files of the package and the system, or their own, are listed."""
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if any(map(_reads_a_file, ast.walk(ast.parse(path.read_text("utf-8")))))
    }
    assert found == READ_THEIR_OWN


def _reads_a_file(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    first = node.args[0] if node.args else None
    mode = first.value if isinstance(first, ast.Constant) else ""
    opens = node.func.attr == "open" and str(mode).startswith("r")
    return opens or node.func.attr in ("read_text", "read_bytes")


READ_THEIR_OWN = {
    "icons/__init__.py",
    "lab/prosody.py",
    "load/conformance/catalogue.py",
    "load/report/html.py",
    "load/run/preflight.py",
    "media/kernel/build.py",
    "trust/fips/mode.py",
    "trust/fips/self_check.py",
    "trust/fips/setup.py",
    "ui/phone_page.py",
    "web/web_site.py",
}

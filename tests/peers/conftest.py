"""Fixtures for tests against real peers.

With `CI` set a missing peer fails the test; elsewhere the test is skipped and says what to do.
`SOFTPHONE_PEERS_STATE` names the file of a running `python -m tests.peers up` (as `make test`
has it); without it each pytest process brings up shared peers of its own, if the root is there.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from softphone.account import Account
from softphone.phone import Phone
from tests.peers.asterisk import Asterisk
from tests.peers.authority import TestAuthority
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture
from tests.peers.direct import direct
from tests.peers.kamailio import Kamailio
from tests.peers.matrix import Recorder, note
from tests.peers.prosody import Prosody
from tests.peers.relay import Relay
from tests.peers.root import Root
from tests.peers.rtpengine import Rtpengine
from tests.peers.sipp import Sipp
from tests.peers.state import SharedPeers


def _miss(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"a real peer is missing: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedPeers]:
    """The shared peers, their authorities and the root folder, whatever of them is up."""
    state = os.environ.get("SOFTPHONE_PEERS_STATE")
    if state:
        yield SharedPeers.load(Path(state))
        return
    shared = SharedPeers.make(tmp_path_factory.mktemp("peers"), make_root=False)
    yield shared
    shared.stop()


@pytest.fixture(scope="session")
def peer_root(shared_peers: SharedPeers) -> Root:
    """The Debian root folder that peers run in."""
    if shared_peers.root is None:
        _miss(shared_peers.missing[""])
    assert shared_peers.root is not None
    return shared_peers.root


@pytest.fixture(scope="session")
def authority(shared_peers: SharedPeers, peer_root: Root) -> TestAuthority:
    """The authority that all peers trust: `certificate` is its CA file.

    `issue_user("alice", folder)` gives the client certificate and key of sip:alice@127.0.0.1.
    """
    return shared_peers.authority


@pytest.fixture(scope="session")
def foreign_authority(shared_peers: SharedPeers, peer_root: Root) -> TestAuthority:
    """An authority that no peer trusts, for certificates that must be refused."""
    return shared_peers.foreign


@pytest.fixture
def client_certificate(
    authority: TestAuthority, tmp_path: Path
) -> Callable[[str], tuple[Path, Path]]:
    """`client_certificate("alice")`: certificate and key files of sip:alice@127.0.0.1."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    return lambda user: authority.issue_user(user, folder)


def _shared(shared_peers: SharedPeers, peer_root: Root, name: str) -> Any:
    if name not in shared_peers.peers:
        _miss(shared_peers.missing[name])
    return shared_peers.peers[name]


@pytest.fixture(scope="session")
def asterisk(shared_peers: SharedPeers, peer_root: Root) -> Asterisk:
    """The shared Asterisk 22: addresses `udp tcp tls mtls`, users `USERS`, extensions in pbx.py.

    `command("…")` speaks to its command line, `originate("alice", "Echo")` lets it call a
    registered user, `recording("NAME")` is what a call to `record-NAME` recorded.  Use users and
    recording names that no other test uses, or `asterisk_of_its_own`: tests run side by side.
    """
    found: Asterisk = _shared(shared_peers, peer_root, "asterisk")
    return found


@pytest.fixture
def asterisk_of_its_own(
    peer_root: Root, authority: TestAuthority, tmp_path: Path
) -> Iterator[Asterisk]:
    """An Asterisk for this test alone, up within a second: it may be restarted and emptied.

    Beside what `asterisk` has: `stop()`, `start()`, `restart()`, `hang_up_all()`.
    """
    own = Asterisk.make(peer_root, tmp_path / "asterisk", authority)
    yield own
    own.stop()


@pytest.fixture(scope="session")
def kamailio(shared_peers: SharedPeers, peer_root: Root) -> Kamailio:
    """The shared Kamailio edge and registrar: addresses `mtls tls udp tcp registrar`.

    What each address demands, and the robots that rtpengine bridges, is told in proxy.py.
    `locations()` is all that is registered.  Use user names that no other test uses.
    """
    found: Kamailio = _shared(shared_peers, peer_root, "kamailio")
    return found


@pytest.fixture
def kamailio_of_its_own(
    peer_root: Root, authority: TestAuthority, rtpengine: Rtpengine, tmp_path: Path
) -> Iterator[Kamailio]:
    """An edge and registrar for this test alone, which may be stopped and restarted."""
    own = Kamailio.make(peer_root, tmp_path / "kamailio", authority, rtpengine.ng)
    yield own
    own.stop()


@pytest.fixture(scope="session")
def rtpengine(shared_peers: SharedPeers, peer_root: Root) -> Rtpengine:
    """The shared rtpengine that Kamailio steers: `ng` is its control address, `media` its ports."""
    found: Rtpengine = _shared(shared_peers, peer_root, "rtpengine")
    return found


@pytest.fixture(scope="session")
def prosody(shared_peers: SharedPeers, peer_root: Root) -> Prosody:
    """The shared Prosody 13: addresses `direct` (TLS) and `starttls`, users and rooms in server.py.

    All users see each other's presence.  Use users and rooms that no other test uses.
    """
    found: Prosody = _shared(shared_peers, peer_root, "prosody")
    return found


@pytest.fixture
def prosody_of_its_own(
    peer_root: Root, authority: TestAuthority, tmp_path: Path
) -> Iterator[Callable[..., Prosody]]:
    """`prosody_of_its_own(certificate=…, shape=…)`: one for this test alone, up in a second."""
    started: list[Prosody] = []

    def start(**arguments: Any) -> Prosody:
        folder = tmp_path / f"prosody-{len(started)}"
        started.append(Prosody.make(peer_root, folder, authority, **arguments))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def baresip(
    peer_root: Root, authority: TestAuthority, tmp_path: Path
) -> Iterator[Callable[..., Baresip]]:
    """`baresip(user="robot", encryption="srtp-mand", …)` starts one; it ends with the test.

    It answers at once, sends a tone (`tone_hz`), and writes what it hears to `heard`, a WAV file
    that is complete after `stop()`.  `uri("tls")` is what to call; `dial(uri)` lets it call;
    `wait_for("CALL_ESTABLISHED")` waits for an event.  The user's certificate is valid for
    127.0.0.1.
    """
    started: list[Baresip] = []

    def start(**arguments: Any) -> Baresip:
        folder = tmp_path / f"baresip-{len(started)}"
        started.append(Baresip(peer_root, folder, authority, **arguments))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def sipp(peer_root: Root, tmp_path: Path) -> Sipp:
    """`with sipp.run("uas_prack") as run:` starts a scenario of tests/peers/sipp.

    A `uas_*` scenario waits for the phone at `run.address` (`run.uri()`); a `uac_*` one calls
    the phone at `target`.  `run.wait()` blocks until it has ended as it should, and raises with
    all messages if it did not (in a loop: `await asyncio.to_thread(run.wait)`).
    `run.received("INVITE")` and `run.sent("SIP/2.0 200")` are the messages themselves.
    """
    return Sipp(peer_root, tmp_path / "sipp")


@pytest.fixture
def capture() -> Iterator[Capture]:
    """Records every UDP datagram on loopback from now on; needs root.

    After `capture.stop()`: `on_ports(…)` and `sent_by(…)` give `Captured` datagrams with
    `source`, `destination` and `payload`.
    """
    if os.geteuid() != 0:
        _miss("a capture on loopback needs root")
    with Capture() as running:
        yield running


@pytest.fixture
async def relay() -> AsyncIterator[Callable[[tuple[str, int]], Awaitable[Relay]]]:
    """`path = await relay(asterisk.mtls)`: a TCP path to a peer through `path.address`.

    `path.cut()` resets its connections, `path.freeze()` lets them hang half-dead, `path.thaw()`
    mends them, `path.refuse()` and `path.admit()` shut and open it for new ones.
    """
    async with AsyncExitStack() as stack:

        async def make(target: tuple[str, int]) -> Relay:
            return await stack.enter_async_context(Relay(target))

        yield make


@pytest.fixture
async def line() -> AsyncIterator[Account]:
    """A phone's line without a registrar, which SIPp calls and is called by."""
    async with Phone() as phone:
        yield await phone.register(direct())


def pytest_configure(config: pytest.Config) -> None:
    """Record the interoperability table."""
    config.pluginmanager.register(Recorder(), "interop-recorder")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say of each test which cells of the table it fills."""
    for item in items:
        if item.get_closest_marker("feature"):
            note(item)

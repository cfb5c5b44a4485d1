"""A user's sign-in on the page, without a lab: how it fails, and what is lost or comes later."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from softphone import RegistrationState
from softphone.discovery import (
    ConfigSetting,
    DiscoveryConfig,
    DiscoveryResult,
    DiscoveryStep,
    JabberConfig,
    ServicePath,
    StepOutcome,
)
from softphone.errors import (
    CertificateUnknown,
    ConfigurationError,
    DiscoveryRefused,
    LocalProtocolError,
    TransportError,
    VoicemailRefused,
)
from softphone.phone.user_sign_in import (
    ServiceOutcome,
    ServiceState,
    SignedInUser,
    UserService,
    UserSignInConfig,
)
from softphone.sans_io import PeerIdentity
from softphone.security import KeyMaterial, SignalingSecurity
from softphone.ui import PageConfig
from softphone.ui.account_list import AccountList
from softphone.ui.chat import Chat
from softphone.ui.directory import Directory
from softphone.ui.mailbox import Mailbox
from softphone.ui.user_services import MOST_STEPS, PageParts, UserServices
from softphone.voicemail import MailboxCounts, VoicemailConfig
from softphone.web import BadRequest
from tests.support.direct import clear
from tests.support.waiting import until

IDENTITY = PeerIdentity("CN=lab", ("dns:lab",), "00", "TLSv1.3", "AES256", "chain", "good")
SECRET = b"a password of the user"
IN, OUT, FAILED = ServiceOutcome.SIGNED_IN, ServiceOutcome.LEFT_OUT, ServiceOutcome.FAILED


class FakePhone:
    """Signs a user in as the test says; its services are what the test gives."""

    def __init__(self):
        self.accounts, self.answers = [], []
        self.voicemail_client = None

    async def sign_in_user(self, config, *, callbacks, tell):
        for step in self.answers.pop(0):
            if isinstance(step, DiscoveryStep):
                tell(step)
            elif isinstance(step, Exception):
                raise step
            elif isinstance(step, asyncio.Event):
                await step.wait()
            else:
                return step
        raise AssertionError

    @property
    def voicemail(self):
        if self.voicemail_client is None:
            raise LocalProtocolError("no voice mailbox is open")
        return self.voicemail_client


class FakeAccount:
    """A line of the user that is registered over TLS until it is closed."""

    trunk = listening = None

    def __init__(self, config):
        self.config = config
        self.registration = RegistrationState.REGISTERED
        self.signaling = SignalingSecurity("TLSv1.3", "AES256", "h", "trust-list", "good")
        self.certificate_expiries = {}
        self.ended = asyncio.Event()

    async def events(self):
        await self.ended.wait()
        return
        yield

    incoming = events


class FakeMailbox:
    """Counts once it is told to, or refuses."""

    def __init__(self):
        self.config = VoicemailConfig("vm.example.test", "alice", KeyMaterial(SECRET))
        self.news = asyncio.Queue()

    async def changes(self):
        while True:
            told = await self.news.get()
            if isinstance(told, Exception):
                raise told
            yield told


@pytest.fixture
async def world(tmp_path):
    """The parts of a page, with a phone that does as it is told."""
    phone, config = FakePhone(), DiscoveryConfig("alice@example.test", KeyMaterial(SECRET))
    changes = []

    def changed():
        changes.append(1)

    parts = PageParts(
        AccountList((), phone, changed, changed),
        Chat(None, phone, changed),
        Directory((), phone, changed),
        Mailbox(None, phone, None, changed),
    )
    user = UserServices(UserSignInConfig(config, tmp_path), None, phone, parts, changed)
    yield SimpleNamespace(phone=phone, parts=parts, user=user, changes=changes)
    for part in (user, parts.accounts, parts.mailbox):
        await part.close()


def found(*services, path=ServicePath.UDS, config=None):
    result = DiscoveryResult("alice@example.test", path, config=config)
    told = {each.service: each for each in services}
    return SignedInUser(
        result,
        tuple(told.get(each) or ServiceState(each, OUT, why="not wanted") for each in UserService),
    )


def rows(world):
    return {each["kind"]: each for each in world.user.services()}


async def signed_in(world, *answer):
    world.phone.answers.append(answer)
    world.user.start()
    await until(lambda: world.user.to_plain()["state"] != "signing in")


async def test_a_sign_in_that_fails_says_why_and_is_tried_again_by_a_person(world):
    step = DiscoveryStep("domain", StepOutcome.CHOSEN, "x" * 5000)
    await signed_in(world, step, DiscoveryRefused("401: the password was refused"))
    plain = world.user.to_plain()
    assert (plain["state"], plain["why"].partition("\n")[0]) == (
        "failed",
        "401: the password was refused",
    )
    assert [len(each["detail"]) for each in plain["steps"]] == [1000]
    assert {each["state"] for each in world.user.services()} == {"failed"}
    assert list(world.user.certificates(0.0)) == []
    world.phone.answers.append([CertificateUnknown("nobody knows it")])
    await world.user.sign_in_again({})
    await until(lambda: world.user.to_plain()["why"].startswith("nobody knows it"))
    assert world.user.to_plain()["steps"] == []
    (row,) = world.user.certificates(0.0)
    assert (row["of"], row["wrong"]) == ("sign-in", "nobody knows it")
    # While it goes on it cannot be begun again, and steps are bounded.
    held = asyncio.Event()
    steps = [DiscoveryStep("boot", StepOutcome.FOUND, str(n)) for n in range(MOST_STEPS + 5)]
    steps.append(DiscoveryStep("chat", StepOutcome.SIGNED_IN, "alice@x", "by the chain"))
    world.phone.answers.append([*steps, held, found()])
    await world.user.sign_in_again({})
    await until(lambda: rows(world)["chat"]["state"] == "signed in")
    assert (rows(world)["phone"]["state"], rows(world)["chat"]["lock"]) == ("signing in", None)
    assert len(world.user.to_plain()["steps"]) == MOST_STEPS
    with pytest.raises(BadRequest, match="goes on"):
        await world.user.sign_in_again({})
    held.set()
    await until(lambda: world.user.to_plain()["state"] == "signed in")
    assert {each["state"] for each in world.user.services()} == {"left out"}


async def test_lines_come_are_lost_and_come_again(world):
    line = FakeAccount(clear("alice"))
    world.phone.accounts = [line]
    phone = ServiceState(UserService.PHONE, IN, "h:5061", "CSF", "by the list", IDENTITY)
    settings = JabberConfig(
        (ConfigSetting("Policies", "Disable_IM_History", "true"),), verified=True
    )
    await signed_in(world, found(phone, config=settings))
    assert world.user.to_plain()["steps"][-1]["outcome"] == "applies"
    assert (rows(world)["phone"]["state"], rows(world)["phone"]["lock"]) == ("signed in", True)
    assert rows(world)["phone"]["why"] == "by the list"
    (account,) = world.parts.accounts.to_plain()
    assert account["state"] == "registered"
    with pytest.raises(BadRequest, match="sign-in"):
        await world.parts.accounts.register({"account": 0})
    # The connection is lost: no lock is known; then for good.
    line.registration, line.signaling = RegistrationState.RECOVERING, None
    assert (rows(world)["phone"]["state"], rows(world)["phone"]["lock"]) == ("reconnecting", None)
    line.registration = RegistrationState.FAILED
    assert rows(world)["phone"]["state"] == "lost"
    assert rows(world)["phone"]["why"] == "no line is registered"
    assert world.user.to_plain()["why"] == "not signed in to: phone"
    # The device registers its lines anew: the entry stays, and another line gets its own.
    line.ended.set()
    world.parts.accounts.follow_lines([])
    assert world.parts.accounts.to_plain()[0]["state"] == "closed"
    again = [FakeAccount(clear(name)) for name in ("alice", "second")]
    world.parts.accounts.follow_lines(again)
    world.parts.accounts.follow_lines(again)
    assert [each["aor"] for each in world.parts.accounts.to_plain()] == [
        each.config.aor for each in again
    ]
    assert rows(world)["phone"]["state"] == "signed in"


async def test_behind_an_edge_nothing_gets_a_lock(world):
    line = FakeAccount(SimpleNamespace(aor="sip:alice@h", edge=object()))
    world.phone.accounts = [line]
    phone = ServiceState(
        UserService.PHONE, IN, "h:5061", "CSF", "to the edge", IDENTITY, by_edge=True
    )
    await signed_in(world, found(phone, path=ServicePath.EDGE))
    row, (account,) = rows(world)["phone"], world.parts.accounts.to_plain()
    assert (row["lock"], row["by_edge"]) == (account["lock"], account["by_edge"]) == (False, True)
    assert "the edge server decrypts" in account["why"]


async def test_a_mailbox_that_was_not_reached_comes_later_and_one_that_refuses_is_asked_again(
    world,
):
    mailbox = world.phone.voicemail_client = FakeMailbox()
    error = TransportError("503")
    voicemail = ServiceState(UserService.VOICEMAIL, FAILED, why="503", error=error)
    await signed_in(world, found(voicemail))
    assert rows(world)["voicemail"]["state"] == "failed"
    assert rows(world)["voicemail"]["why"].startswith("503")
    mailbox.news.put_nowait(MailboxCounts(1, 0))
    await until(lambda: rows(world)["voicemail"]["state"] == "signed in")
    assert rows(world)["voicemail"]["lock"] is True
    assert "verified" in rows(world)["voicemail"]["why"]
    mailbox.news.put_nowait(VoicemailRefused("401"))
    await until(lambda: rows(world)["voicemail"]["again"])
    await world.parts.mailbox.look_again({})
    mailbox.news.put_nowait(MailboxCounts(2, 0))
    await until(lambda: rows(world)["voicemail"]["lock"])
    assert SECRET.decode() not in str(world.user.services()) + str(world.user.to_plain())


async def test_a_certificate_of_a_service_is_listed_with_what_is_wrong(world):
    directory = ServiceState(UserService.DIRECTORY, FAILED, error=CertificateUnknown("not known"))
    chat = ServiceState(UserService.CHAT, FAILED, identity=IDENTITY, error=TransportError("reset"))
    await signed_in(world, found(directory, chat))
    listed = list(world.user.certificates(0.0))
    assert [(each["of"], each["subject"]) for each in listed] == [
        ("chat", "CN=lab"),
        ("directory", ""),
    ]


def test_a_page_is_for_account_files_or_for_a_user_and_not_for_neither(tmp_path):
    user = UserSignInConfig(DiscoveryConfig("a@x.test", KeyMaterial(SECRET)), tmp_path)
    with pytest.raises(ConfigurationError, match="give no other"):
        PageConfig((clear("alice"),), user=user)
    with pytest.raises(ConfigurationError, match="an account, or a user"):
        PageConfig()

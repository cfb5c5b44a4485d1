"""Signing in to the lab's IM and Presence: by which mechanism, where, and what ends it."""

from __future__ import annotations

import pytest

from softphone.errors import (
    CertificateError,
    ConfigurationError,
    SignInRefused,
    SoftphoneError,
    TransportError,
)
from softphone.lab.im_presence import ImPresenceFault
from softphone.messaging.im_presence import (
    CertificateName,
    ClientConfigurationService,
    PresenceNode,
)
from softphone.net.http import HttpsEnvironment
from softphone.security import KeyMaterial
from tests.support.certificates import authority
from tests.support.chat import DOMAIN
from tests.support.im_presence import BACKUP, HOME, TOKEN, running_site
from tests.support.waiting import PATIENCE, until

LOGIN = ["login", "get-all-config", "get-onetime-password"]


@pytest.fixture
async def site(tmp_path, entropy):
    async with running_site(tmp_path, entropy) as running:
        yield running


def asked(node):
    return [what for _, what, _ in node.asked]


async def refused(site, kind, words, **more):
    with pytest.raises(kind, match=words):
        async with site.client(**more):
            raise AssertionError("signed in")


async def test_a_one_time_password_signs_in_and_two_users_talk(site):
    node = await site.start()
    async with site.client() as alice, site.client("bob") as bob:
        assert (alice.mechanism, bob.mechanism) == ("CISCO-VTG-TOKEN", "CISCO-VTG-TOKEN")
        sent = await alice.send(f"bob@{DOMAIN}", "caf\xe9 <&>")
        message = await anext(aiter(bob))
        assert (message.sender, message.body) == (f"alice@{DOMAIN}", "caf\xe9 <&>")
        assert message.security.sign == "lock"
        assert await sent.delivered(within=PATIENCE)
        assert {each.peer for each in alice.peers} == {f"bob@{DOMAIN}"}
    assert node.asked[0] == ("/EPASSoap/service", "login", "alice")
    assert node.asked[1] == ("/EPASSoap/service/v80", "get-all-config", "alice")
    assert asked(node) == LOGIN * 2


async def test_a_new_connection_takes_a_new_password_of_the_same_session(site):
    node = await site.start()
    async with site.client() as alice:
        for after in (LOGIN, [*LOGIN, LOGIN[2]]):
            assert asked(node) == after
            if after == LOGIN:
                node.streams.cut()
                await came_back(alice, node, 2)
        node.end_sessions()
        node.streams.cut()
        await came_back(alice, node, 3)
        # The key counts no more: that is found out by asking, and then there is a new login.
        assert asked(node) == [*LOGIN, LOGIN[2], LOGIN[2], *LOGIN]
        assert alice.mechanism == "CISCO-VTG-TOKEN"


async def came_back(messages, node, times):
    """Wait until the node has seen so many sign-ins, and the client is up again."""
    await until(lambda: len(node.streams.mechanisms) >= times and messages.is_up)


async def test_the_backup_takes_over_with_a_login_of_its_own(site):
    home = await site.start()
    backup = await site.start(BACKUP)
    async with site.client() as alice:
        await home.__aexit__(None, None, None)
        await came_back(alice, backup, 1)
    assert asked(home) == asked(backup) == LOGIN
    # The password of the one is none of the other.
    assert backup.asked[0][2] == "alice"


async def test_where_only_the_backup_runs_it_is_entered(site):
    await site.start()
    site.addresses["imp0.test"] = "127.0.0.77"
    soap = site.nodes[HOME].address[1]
    servers = (f"imp0.test:{soap}", f"{HOME}:{soap}")
    async with site.client(servers=servers) as alice:
        assert alice.is_up
    for fault in (ImPresenceFault.UNAVAILABLE, ImPresenceFault.NO_XML):
        site.nodes[HOME].faults = {fault}
        await refused(site, TransportError, HOME if fault != "no xml" else "no XML document")


async def test_the_home_node_that_a_server_names_is_moved_to_once(site):
    home = await site.start(home=(HOME, BACKUP))
    backup = await site.start(BACKUP, home=(HOME, BACKUP))
    soap = home.address[1]
    async with site.client(servers=(f"{BACKUP}:{soap}", f"{HOME}:{soap}")) as alice:
        assert alice.is_up
    assert (asked(home), asked(backup)) == (LOGIN, [])
    # Two nodes that each call the other home: one move, and then it stays.
    home.streams.home = (BACKUP,)
    async with site.client(servers=(f"{BACKUP}:{soap}", f"{HOME}:{soap}")) as alice:
        assert alice.is_up
    home.streams.home = ("elsewhere.test",)
    async with site.client(servers=(f"{HOME}:{soap}",)) as alice:
        assert alice.is_up
    backup.streams.home = (HOME,)
    async with site.client(servers=(f"{BACKUP}:{soap}",), follow_home_node=False) as alice:
        assert alice.is_up
    assert asked(backup) == LOGIN


async def test_a_backup_that_only_the_server_names_takes_over(site):
    home = await site.start(home=(HOME, BACKUP))
    backup = await site.start(BACKUP)
    async with site.client(servers=(f"{HOME}:{home.address[1]}",)) as alice:
        await home.__aexit__(None, None, None)
        await came_back(alice, backup, 1)
    assert asked(backup) == LOGIN


async def test_a_home_node_that_does_not_answer_is_no_reason_to_stay_out(site):
    backup = await site.start(BACKUP, home=(HOME,))
    async with site.client() as alice:
        assert alice.is_up
    assert asked(backup) == LOGIN


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (ImPresenceFault.SOAP_FAULT, SignInRefused, r"SOAP fault \(unknown\)"),
        (ImPresenceFault.REDIRECT, SignInRefused, "302"),
        (ImPresenceFault.SESSION_LOST, TransportError, "has just begun"),
        (ImPresenceFault.ENDLESS, TransportError, "more than 262144 bytes"),
        (ImPresenceFault.DOCUMENT_TYPE, TransportError, "document type"),
        (ImPresenceFault.NO_PASSWORD, TransportError, "no usable one-time password"),
        (ImPresenceFault.OTHER_DOMAIN, ConfigurationError, f"alice@other.{DOMAIN}"),
    ],
)
async def test_a_node_that_misbehaves_is_named(site, fault, kind, words):
    node = await site.start(faults={fault})
    await refused(site, kind, words)
    assert node.streams.mechanisms == []
    assert asked(node).count("login") == 1


async def test_a_node_that_is_silent_is_given_up(site):
    await site.start(faults={ImPresenceFault.SILENT})
    await refused(site, SoftphoneError, "did not answer POST within 0.1 s", timeout=0.1)


async def test_a_domain_that_is_not_ours_may_be_allowed(site):
    await site.start(faults={ImPresenceFault.OTHER_DOMAIN})
    async with site.client(check_domain=False) as alice:
        assert alice.is_up


@pytest.mark.parametrize(
    ("version", "paths"), [("v80", ["", "/v80", "", ""]), ("none", ["", "", ""])]
)
async def test_a_version_that_is_unknown_is_left_out(site, version, paths):
    node = await site.start(faults={ImPresenceFault.UNKNOWN_VERSION})
    async with site.client(version=version) as alice:
        assert alice.is_up
    assert [path.removeprefix("/EPASSoap/service") for path, _, _ in node.asked] == paths


async def test_a_wrong_password_goes_to_one_node_once(site):
    home = await site.start()
    backup = await site.start(BACKUP)
    wrong = {"password": KeyMaterial(b"wrong")}
    await refused(site, SignInRefused, "user or password is wrong", account=wrong)
    assert (home.asked, backup.asked) == ([("/EPASSoap/service", "login", None)], [])


async def test_a_password_that_has_expired_is_fetched_again_once(site):
    node = await site.start(faults={ImPresenceFault.EXPIRED_PASSWORD})
    await refused(site, SignInRefused, "CISCO-VTG-TOKEN failed: it has expired")
    assert asked(node) == [*LOGIN, LOGIN[2]]
    assert node.streams.mechanisms == ["CISCO-VTG-TOKEN"] * 2


async def test_where_the_token_mechanism_is_hidden_the_password_is_not_shown(site):
    node = await site.start(faults={ImPresenceFault.NO_TOKEN_MECHANISM})
    await refused(site, SignInRefused, "offers PLAIN, and no CISCO-VTG-TOKEN")
    assert (node.asked, node.streams.mechanisms) == ([], [])


@pytest.mark.parametrize("name", CertificateName)
async def test_the_certificate_of_xmpp_names_what_is_said(site, name):
    by_domain = name is CertificateName.DOMAIN
    host = DOMAIN if by_domain else HOME
    await site.start(chat=authority().server(host))
    async with site.client(certificate_name=name) as alice:
        assert alice.is_up
    other = CertificateName.NODE if by_domain else CertificateName.DOMAIN
    await refused(site, CertificateError, "certificate", certificate_name=other)


@pytest.mark.parametrize("good", [True, False])
async def test_a_token_signs_in_without_any_password(site, good):
    asked = []

    async def fetch(refused):
        asked.append(refused)
        return KeyMaterial(TOKEN.encode())

    node = await site.start(tokens={TOKEN: "alice"} if good else {"x": "alice"})
    account = {"password": None, "token": fetch}
    if good:
        async with site.client(account=account) as alice:
            assert alice.mechanism == "OAUTHBEARER"
    else:
        await refused(site, SignInRefused, r"OAUTHBEARER failed \(invalid_token\)", account=account)
    # A refused one is replaced once.
    assert asked == ([False] if good else [False, True])
    assert node.asked == []


async def test_a_source_of_tokens_that_fails_tells_no_token(site):
    async def fetch(refused):
        raise ValueError(TOKEN)

    await site.start(tokens={TOKEN: "alice"})
    account = {"password": None, "token": fetch}
    with pytest.raises(TransportError, match="ValueError") as caught:
        async with site.client(account=account):
            raise AssertionError("signed in")
    assert TOKEN not in str(caught.value)


async def test_whom_another_client_of_that_name_puts_out_stays_out(site):
    node = await site.start()
    async with site.client() as first, site.client() as second:
        # The iteration ends because it is signed out, and not only disconnected.
        assert [message async for message in first] == []
        assert second.is_up
        assert not first.is_up
    assert len(node.streams.mechanisms) == 2


def service_of(site, **more):
    config = site.config(**more)
    https = HttpsEnvironment(resolve=site.resolve)
    return ClientConfigurationService(config.im_presence, config.jid, config.password, https)


async def test_the_presence_domain_is_asked_at_the_first_node_that_answers(site):
    await site.start(faults={ImPresenceFault.UNAVAILABLE})
    backup = await site.start(BACKUP)
    service = service_of(site)
    assert await service.presence_domain() == DOMAIN
    assert [what for _, what, _ in backup.asked] == ["login", "get-all-config"]
    # The session that has begun is used.
    assert len(await service.one_time_password(PresenceNode(BACKUP, backup.address[1])))
    assert [what for _, what, _ in backup.asked][2:] == ["get-onetime-password"]
    service.close()


async def test_a_refused_login_asks_no_other_node_for_the_presence_domain(site):
    first, second = await site.start(), await site.start(BACKUP)
    with pytest.raises(SignInRefused):
        await service_of(site, account={"password": KeyMaterial(b"guessed")}).presence_domain()
    assert len(first.asked) == 1
    assert second.asked == []


async def test_no_node_that_answers_is_a_failure_of_the_network(site):
    await site.start(faults={ImPresenceFault.UNAVAILABLE})
    with pytest.raises(TransportError):
        await service_of(site).presence_domain()

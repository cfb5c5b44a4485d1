"""What the configurations of a user's services are made from, and why a service is left out."""

from __future__ import annotations

import pytest

from softphone.discovery import (
    ClientSettings,
    DiscoveryResult,
    ProfileServer,
    ServicePath,
    ServiceProfile,
    ServiceRecord,
    ServiceTarget,
    UdsUser,
    UserDevice,
)
from softphone.errors import DiscoveryError
from softphone.phone.user_sign_in.services import (
    CLIENT_SERVICES_FRAMEWORK,
    FoundUser,
    NoService,
    choose_device,
    directory_servers,
    file_servers,
    presence_nodes,
    session_tls,
    voicemail_config,
)
from softphone.security import KeyMaterial
from softphone.trust import Pin, Service, TlsSettings, TrustStore
from tests.support.certificates import authority

PASSWORD = KeyMaterial(b"x")
ALICE = UdsUser("alice")
PORTS = {6970: 6972}
NODES = (ServiceTarget("cucm1.x.test", 8443), ServiceTarget("cucm2.x.test", 8443))
HTTPS = TlsSettings(service=Service.HTTPS)


def found(*, path=ServicePath.UDS, settings=None, user=ALICE, **more):
    more.setdefault("nodes", NODES)
    result = DiscoveryResult("alice@x.test", path, user=user, **more)
    return FoundUser(result, settings or ClientSettings(), "fallback")


ONLY_CHAT = found(
    path=ServicePath.IM_AND_PRESENCE,
    user=None,
    records={ServiceRecord.CUP_LOGIN: (ServiceTarget("imp.x.test", 8443),)},
)


def device(name, model="", *uris):
    return UserDevice(name, model, configurations=uris)


def test_the_users_id_is_that_of_uds_or_the_configured_one():
    assert found().user_id == "alice"
    assert ONLY_CHAT.user_id == found(user=UdsUser("")).user_id == "fallback"


def test_the_soft_phone_is_chosen_by_its_model_before_its_name():
    desk, named = device("SEP001122334455", "Cisco 8841"), device("CSFOLD", "")
    soft = device("PHONE", CLIENT_SERVICES_FRAMEWORK)
    assert choose_device(found(devices=(desk, named, soft)), None) is soft
    assert choose_device(found(devices=(desk, named)), None) is named
    assert choose_device(found(devices=(desk, soft)), "sep001122334455") is desk
    with pytest.raises(NoService, match="SEP001122334455"):
        choose_device(found(devices=(desk,)), None)
    with pytest.raises(NoService, match="none"):
        choose_device(found(), None)
    with pytest.raises(DiscoveryError, match="CSFX is no device"):
        choose_device(found(devices=(desk,)), "CSFX")


def test_no_phone_where_it_is_forbidden_or_nothing_serves_it():
    with pytest.raises(NoService, match="Telephony_Enabled"):
        choose_device(found(settings=ClientSettings(telephony=False)), None)
    for choose in (lambda one: choose_device(one, None), directory_servers):
        with pytest.raises(NoService, match="only IM and Presence"):
            choose(ONLY_CHAT)
    with pytest.raises(NoService, match="only IM and Presence"):
        voicemail_config(ONLY_CHAT, PASSWORD, HTTPS, 5.0)


@pytest.mark.parametrize(
    ("uris", "profile", "verified", "expected"),
    [
        # Port 6970 has its HTTPS at 6972; a list that is trusted for its server comes from there.
        (
            ("http://a.x.test:6970/CSF.cnf.xml",),
            "",
            False,
            ["https://a.x.test:6972", "http://a.x.test:6970"],
        ),
        (("http://a.x.test:6970/CSF.cnf.xml",), "", True, ["https://a.x.test:6972"]),
        (("https://a.x.test:7000/f",), "", True, ["https://a.x.test:7000"]),
        (("http://a.x.test/f", "tftp://b.x.test/f"), "", True, []),
        (("tftp://b.x.test/f",), "", False, ["tftp://b.x.test:69"]),
        # The service profile names the server where the device names none.
        ((), "http://p.x.test:6970/SP.xml", True, ["https://p.x.test:6972"]),
        # Nothing else: the servers of the cluster.
        ((), "", True, ["https://cucm1.x.test:6972", "https://cucm2.x.test:6972"]),
        # No address of a server with a name.
        (
            ("http://10.0.0.1:6970/f", "ftp://a.x.test/f", "http://a:b/f", "https://h.x.test/f"),
            "",
            False,
            ["https://h.x.test:443"],
        ),
    ],
)
def test_the_servers_of_a_devices_files(uris, profile, verified, expected):
    one = found(user=UdsUser("alice", service_profile=profile))
    places = file_servers(one, device("CSF", "", *uris), PORTS, verified=verified)
    assert list(map(str, places)) == expected


def test_presence_nodes_are_those_of_uds_then_of_the_profile():
    profile = ServiceProfile(
        (
            ProfileServer("ImPresence", "Backup1", "imp2.x.test"),
            ProfileServer("ImPresence", "Primary", "imp1.x.test", 8444),
            ProfileServer("Voicemail", "Primary", "unity.x.test"),
        )
    )
    enabled = UdsUser("alice", im_and_presence=True)
    named = UdsUser("alice", im_and_presence=True, presence_servers=("imp9.x.test",))
    assert presence_nodes(found(user=named, profile=profile)) == ("imp9.x.test",)
    assert presence_nodes(found(user=enabled, profile=profile)) == (
        "imp1.x.test:8444",
        "imp2.x.test",
    )
    assert presence_nodes(ONLY_CHAT) == ("imp.x.test:8443",)
    for profile in (None, ServiceProfile()):
        with pytest.raises(DiscoveryError, match="names"):
            presence_nodes(found(user=enabled, profile=profile))
    for user in (None, UdsUser("alice")):
        with pytest.raises(NoService, match="not enabled"):
            presence_nodes(found(user=user))


def test_the_mailbox_is_that_of_the_profile_with_its_backups():
    profile = ServiceProfile(
        (
            ProfileServer("Voicemail", "Backup1", "unity2.x.test", 8443),
            ProfileServer("Voicemail", "Primary", "unity1.x.test"),
            ProfileServer("Voicemail", "Backup2", "unity1.x.test"),
        )
    )
    config = voicemail_config(found(profile=profile), PASSWORD, HTTPS, 5.0)
    assert config.servers == ("unity1.x.test:443", "unity2.x.test:8443")
    assert (config.user, config.timeout) == ("alice", 5.0)
    trusted = ClientSettings(voicemail_servers=("unity3.x.test",))
    assert voicemail_config(found(settings=trusted), PASSWORD, HTTPS, 5.0).servers == (
        "unity3.x.test",
    )
    with pytest.raises(NoService, match="names no voicemail"):
        voicemail_config(found(profile=ServiceProfile()), PASSWORD, HTTPS, 5.0)
    with pytest.raises(NoService, match="Voicemail_Enabled"):
        voicemail_config(
            found(profile=profile, settings=ClientSettings(voicemail=False)), PASSWORD, HTTPS, 5.0
        )


async def test_invalid_certificate_behavior_holds_for_the_services_of_this_sign_in(tmp_path):
    async def ask(question):
        return True

    kept = TrustStore.open(tmp_path / "store")
    anchors = TrustStore.from_sources(authority().write(tmp_path, "ca"), keep=kept)
    tls = TlsSettings(store=anchors, service=Service.HTTPS, unknown=ask)
    assert session_tls(tls, ClientSettings()) is tls
    refusing = session_tls(tls, ClientSettings(refuse_unknown_certificates=True))
    assert (refusing.unknown, refusing.store) == (None, anchors)
    asking = session_tls(tls, ClientSettings(keep_no_certificates=True))
    assert asking.unknown is ask
    assert asking.store.anchors == anchors.anchors
    der = authority().server("x.test").certificate
    asking.store.add_pin(Pin(Service.HTTPS, "x.test", 8443, der))
    assert asking.store.pins(Service.HTTPS, "x.test", 8443)
    assert not kept.pins(Service.HTTPS, "x.test", 8443)


def test_behind_an_edge_everything_is_known_as_inside():
    outside = found(path=ServicePath.EDGE, user=UdsUser("alice", im_and_presence=True))
    assert outside.cluster_known
    assert directory_servers(outside) == NODES
    with pytest.raises(DiscoveryError, match="names a"):
        presence_nodes(outside)
    user = UdsUser("alice", im_and_presence=True, presence_servers=("imp1.x.test",))
    assert presence_nodes(found(path=ServicePath.EDGE, user=user)) == ("imp1.x.test",)

"""The documents of UDS and the service profile: what they say, and what is not believed."""

from __future__ import annotations

import pytest

from softphone.discovery.document import (
    LARGEST,
    ClusterUser,
    ProfileServer,
    ServiceProfile,
    UserDevice,
    parse_cluster_user,
    parse_devices,
    parse_servers,
    parse_service_profile,
    parse_user,
)
from softphone.discovery.records import ServiceTarget
from softphone.errors import DiscoveryError

FOUND = b"""<clusterUser version="12.5.1" uri="https://cucm1.example.test:8443/cucm-uds/clusterUser">
 <result found="true" uri="https://cucm9.example.test:8443/cucm-uds/user/a%20lice" version="12"/>
 <homeCluster serversUri="https://cucm9.example.test:9443/cucm-uds/servers">CUCM9.example.test
 </homeCluster><homeClusterDetails/></clusterUser>"""
USER = b"""<user uri="u"><id>1</id><userName>alice</userName>
 <displayName>Alice &amp; Co</displayName>
 <phoneNumber>1</phoneNumber><email>a@example.test</email><directoryUri>al@example.test</directoryUri>
 <homeCluster enableImAndPresence="TRUE">cucm9.example.test</homeCluster>
 <primaryExtension><directoryNumber>1001</directoryNumber></primaryExtension>
 <imAndPresence><server>imp1.example.test</server><server>imp2.example.test</server></imAndPresence>
 <serviceProfile><uri>http://cucm1.example.test:6970/SPDefault.cnf.xml</uri></serviceProfile></user>"""
PROFILE = b"""<device><profile><Voicemail>
 <Primary><Address>unity.example.test</Address><Port>443</Port><Protocol>HTTPS</Protocol></Primary>
 <Backup1><Address>192.0.2.7</Address><Port>70000</Port></Backup1><Backup2/></Voicemail>
 <Directory><UseUDS>false</UseUDS><UseUserCredential>true</UseUserCredential>
 <Password>ldap-secret</Password><Primary><Address>ldap</Address></Primary></Directory>
 </profile></device>"""


def test_the_home_cluster_has_the_port_of_its_servers_address():
    assert parse_cluster_user(FOUND) == ClusterUser(
        True, "a lice", ServiceTarget("cucm9.example.test", 9443)
    )


def test_an_address_of_another_host_gives_no_port():
    data = FOUND.replace(b"//cucm9.example.test:9443", b"//evil.test:9443")
    assert parse_cluster_user(data).home == ServiceTarget("cucm9.example.test", 8443)
    data = FOUND.replace(b"https://cucm9.example.test:9443", b"http://cucm9.example.test:9443")
    assert parse_cluster_user(data).home == ServiceTarget("cucm9.example.test", 8443)


def test_an_unknown_user_is_not_found():
    data = b'<clusterUser><result found="false"/><homeCluster>x.test</homeCluster></clusterUser>'
    assert parse_cluster_user(data) == ClusterUser(False)
    assert parse_cluster_user(b"<clusterUser/>") == ClusterUser(False)


def test_a_found_user_without_a_home_cluster_is_at_the_server_that_was_asked():
    data = b'<clusterUser><result found="true"/></clusterUser>'
    assert parse_cluster_user(data) == ClusterUser(True)


@pytest.mark.parametrize("host", [b"192.0.2.1", b"a b", b"evil.test/x", b"user@evil.test"])
def test_a_home_cluster_without_a_full_name_is_refused(host):
    with pytest.raises(DiscoveryError, match="no full name"):
        parse_cluster_user(FOUND.replace(b"CUCM9.example.test", host))


@pytest.mark.parametrize(
    "given",
    [
        *(b"a%2Flice", b"a/devices", b"a%5Clice", b".", b"..", b"%2e%2E", b"%20..", b"..."),
        *(b"a?b", b"a%3Fb", b"a#b", b"a;b", b"%252e%252e", b"a%0Ab"),
    ],
)
def test_an_id_that_is_more_than_a_segment_of_a_path_is_none(given):
    assert parse_cluster_user(FOUND.replace(b"a%20lice", given)).user_id == ""


@pytest.mark.parametrize("given", ["alice", "a.lice", "alice@example.test", "o'neil", "_a-1"])
def test_an_id_of_other_characters_is_taken(given):
    assert parse_cluster_user(FOUND.replace(b"a%20lice", given.encode())).user_id == given


def test_servers_are_listed_once_and_by_full_names():
    data = b"<servers><server>a.test</server><server>A.test.</server><server>192.0.2.1</server>"
    assert parse_servers(data + b"</servers>", 8443) == (ServiceTarget("a.test", 8443),)


def test_at_most_64_servers_and_256_devices_are_taken():
    many = "".join(f"<server>n{one}.test</server>" for one in range(500))
    assert len(parse_servers(f"<servers>{many}</servers>".encode(), 1)) == 64
    many = "".join(f"<device><name>CSF{one}</name></device>" for one in range(500))
    assert len(parse_devices(f"<devices>{many}</devices>".encode())) == 256


def test_a_user_is_described():
    user = parse_user(USER)
    assert (user.user_id, user.display_name, user.number) == ("alice", "Alice & Co", "1001")
    assert (user.email, user.directory_uri) == ("a@example.test", "al@example.test")
    assert (user.home_cluster, user.im_and_presence) == ("cucm9.example.test", True)
    assert user.presence_servers == ("imp1.example.test", "imp2.example.test")
    assert user.service_profile == "http://cucm1.example.test:6970/SPDefault.cnf.xml"


def test_a_profile_may_be_an_attribute_and_a_number_stand_alone():
    user = parse_user(b'<user><phoneNumber>7</phoneNumber><serviceProfile uri="x"/></user>')
    assert (user.number, user.service_profile, user.im_and_presence) == ("7", "x", False)


def test_devices_have_several_addresses_of_their_configuration():
    data = b"""<devices><device><id>7</id><name>CSFALICE</name><type>Phone</type><model>CSF</model>
      <provision><uri>http://a/1</uri><uri>http://b/1</uri></provision></device><device/></devices>"""
    assert parse_devices(data) == (
        UserDevice("CSFALICE", "CSF", "Phone", "", ("http://a/1", "http://b/1")),
    )


def test_a_profile_names_servers_and_its_password_is_not_kept():
    profile = parse_service_profile(PROFILE)
    assert profile.servers == (
        ProfileServer("Voicemail", "Primary", "unity.example.test", 443, "HTTPS"),
        ProfileServer("Voicemail", "Backup1", "192.0.2.7"),
        ProfileServer("Directory", "Primary", "ldap"),
    )
    assert (profile.directory_by_uds, profile.directory_by_own_credentials) == (False, True)
    password, *names = profile.warnings
    assert "password" in password
    assert [each.split()[3].rstrip(",") for each in names] == ["192.0.2.7", "ldap"]
    assert "ldap-secret" not in repr(profile)


def test_an_empty_profile_is_one():
    assert parse_service_profile(b"<x/>") == ServiceProfile()


@pytest.mark.parametrize(
    "parse",
    [parse_cluster_user, parse_user, parse_devices, lambda data: parse_servers(data, 1)],
)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html/>",
        b"not xml",
        b"<!DOCTYPE user><user/>",
        b"<user>" * 20,
        b"<user>" + b"<a/>" * 20_001 + b"</user>",
        b"<user " + b'a="" ' * 20_001 + b"/>",
        b" " * (LARGEST + 1),
    ],
)
def test_what_is_no_such_document_is_refused(parse, data):
    with pytest.raises(DiscoveryError):
        parse(data)

"""What a directory may be configured with."""

from __future__ import annotations

import pytest

from softphone.contacts import ATTRIBUTES, DirectoryLimits, LdapConfig
from softphone.contacts.config import parse_host_port
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial
from softphone.trust import TlsSettings


def config(**more):
    return LdapConfig(**{"name": "own", "server": "ldap.example.test", "base": "dc=test", **more})


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({}, ("ldap.example.test", 636)),
        ({"global_catalogue": True}, ("ldap.example.test", 3269)),
        ({"server": "[::1]:1636"}, ("::1", 1636)),
    ],
)
def test_the_port_is_one_of_ldaps(more, place):
    assert config(**more).address == place


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"server": "ldap.example.test:389"}, "server: port 389 is LDAP in clear"),
        ({"server": "ldap.example.test:3268"}, "server: port 3268 is LDAP in clear"),
        ({"server": "ldap://ldap.example.test"}, "server: "),
        ({"server": "a:99999"}, "server: "),
        ({"user": "cn=x"}, "user: "),
        ({"user": "cn=x", "password": KeyMaterial(b"")}, "password: it is empty"),
        ({"external": True}, "external: the client certificate binds"),
        ({"search": ()}, "search: "),
        ({"search": ("cn=*)(",)}, "attributes: "),
        ({"attributes": {"names": ("cn",)}}, "attributes.names: "),
        ({"attributes": {"name": ("c n",)}}, "attributes: "),
        ({"filter": "objectClass=person"}, "filter: "),
        ({"tls": TlsSettings()}, "tls: "),
    ],
)
def test_what_cannot_be_is_refused(more, message):
    with pytest.raises(ConfigurationError, match=f"^{message}"):
        config(**more)


@pytest.mark.parametrize("more", [{"within": 0.0}, {"within": 61.0}, {"most": 0}, {"page": 9999}])
def test_bounds_are_bounded(more):
    with pytest.raises(ConfigurationError):
        DirectoryLimits(**more)


def test_what_is_asked_for_is_what_a_contact_is_made_of():
    own = config(attributes={"name": ("cn",), "work": ("tel", "ext"), "email": ("cn",)})
    assert own.wanted == ("cn", "tel", "ext")
    assert own.number_attributes == ("tel", "ext")
    assert set(config().wanted) == {each for some in ATTRIBUTES.values() for each in some}


def test_a_password_is_in_no_repr():
    secret = KeyMaterial(b"open sesame")
    assert "sesame" not in repr(config(user="cn=x", password=secret))


def test_a_place_without_a_port_has_the_usual_one():
    assert parse_host_port("host", 8443) == ("host", 8443)

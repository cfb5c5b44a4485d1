"""Entries as contacts, and what happens around a session of LDAP; slapd itself is in peers/."""

from __future__ import annotations

import sys

import pytest

from softphone import contacts
from softphone.contacts import ATTRIBUTES, LdapConfig, open_directories
from softphone.contacts.ldap import LdapDirectory, contact_of
from softphone.errors import ConfigurationError, TransportError
from softphone.net.http import RevocationFetcher
from softphone.net.verified.connector import ConnectorConfig
from tests.support.bonsai import need_bonsai


def test_an_entry_is_a_contact_by_the_first_attribute_that_is_there():
    entry = {
        "cn": ("Adler Anna",),
        "displayname": ("Anna Adler", "second"),
        "telephonenumber": ("+49 30 1", "no number"),
        "mobile": ("+49 171 1",),
        "mail": ("anna@example.test",),
        "uid": ("anna",),
        "title": ("Line\x1b[2J break",),
    }
    contact = contact_of(entry, ATTRIBUTES, "company")
    assert (contact.name, contact.email, contact.username) == (
        "Anna Adler",
        "anna@example.test",
        "anna",
    )
    assert [(each.kind, each.text) for each in contact.numbers] == [
        ("work", "+49 30 1"),
        ("mobile", "+49 171 1"),
    ]
    assert contact.title == "Line [2J break"
    assert contact.sources == ("company",)


@pytest.mark.parametrize("entry", [{}, {"cn": ()}, {"cn": ("\x00 ",)}, {"mail": ("a@b",)}])
def test_an_entry_without_a_name_is_nobody(entry):
    assert contact_of(entry, ATTRIBUTES, "company") is None


def test_without_bonsai_the_configuration_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bonsai", None)
    # Where it is installed another test may have loaded it: into the package's namespace as well.
    monkeypatch.delitem(sys.modules, "softphone.contacts.ldap_session", raising=False)
    monkeypatch.delattr(contacts, "ldap_session", raising=False)
    config = LdapConfig("own", "ldap.example.test", "dc=test")
    with pytest.raises(ConfigurationError, match=r"apt-get install libldap-dev .*\[directory\]"):
        open_directories((config,), RevocationFetcher())


async def test_a_server_that_is_not_there_is_told_with_its_place(unused_tcp_port):
    need_bonsai()
    config = LdapConfig("own", f"127.0.0.1:{unused_tcp_port}", "dc=test")
    directory = LdapDirectory(config, ConnectorConfig(RevocationFetcher()))
    with pytest.raises(TransportError, match=f"127.0.0.1 port {unused_tcp_port} cannot be reached"):
        await directory.search("ann", 5)
    assert await directory.search("  ", 5) == ()
    await directory.close()

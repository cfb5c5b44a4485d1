"""The [im.compliance] table, checked key by key."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.trust import Service

pytest.importorskip("slixmpp")

from tests.config.test_messaging_file import ALONE, TLS, read

__all__ = ["read"]


def test_without_the_table_there_is_no_compliance(read):
    assert read(ALONE).config.compliance is None


def test_everything_can_be_said(read, tmp_path):
    config = read(
        f"{TLS}{ALONE}[im.compliance]\n"
        'audit = "audit.db"\narchive = "postgresql+asyncpg://h/n"\nserver = "https://c.test/ask"\n'
        'domains = ["x.test"]\ntypes = ["image/*"]\nlargest = 1000\nfiles = false\n'
        "captures = false\ntimeout = 2\nhandover = 500\n"
    ).config.compliance
    assert config.audit == f"sqlite+aiosqlite:///{tmp_path}/audit.db"
    assert (config.archive, config.server) == ("postgresql+asyncpg://h/n", "https://c.test/ask")
    assert (config.domains, config.types, config.largest) == (("x.test",), ("image/*",), 1000)
    assert config.handover == 500
    assert (config.files, config.captures, config.within) == (False, False, 2.0)
    assert (config.tls.service, config.tls.pin) == (Service.HTTPS, None)
    assert config.tls.credential is not None


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "audit is missing"),
        ('audit = "a.db"\naudits = "b"', "audits"),
        ('audit = "a.db"\nlargest = "much"', "whole number"),
        ('audit = "a.db"\ntimeout = true', "number of seconds"),
        ('audit = "a.db"\nhandover = true', "whole number"),
        ('audit = "a.db"\nhandover = 500', "no server to give files to"),
        ('audit = "a.db"\ndomains = "x.test"', "list of texts"),
        ('audit = "a.db"\nfiles = "no"', "true or false"),
        ('audit = "a.db"\nserver = "https://c.test/"', "client certificate"),
    ],
)
def test_what_is_wrong_is_named(read, lines, words):
    with pytest.raises(ConfigurationError, match=words):
        read(f"{ALONE}[im.compliance]\n{lines}\n")


def test_a_table_is_needed(read):
    with pytest.raises(ConfigurationError, match="expected a table"):
        read(f"{ALONE}compliance = true\n")

"""Which policies a configuration makes, in which order; what of it cannot be."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.messaging.compliance import ComplianceConfig
from softphone.messaging.compliance.policies import (
    DomainPolicy,
    FileSizePolicy,
    FileTypePolicy,
    NoCapturesPolicy,
    NoFilesPolicy,
)
from softphone.messaging.compliance.server import ComplianceServer
from softphone.net.http import HttpsEnvironment
from softphone.trust import Service, TlsSettings
from tests.support.certificates import alice, settings

AUDIT = "sqlite+aiosqlite://"


def kinds(config):
    return [type(each) for each in config.policies(HttpsEnvironment())]


def test_what_is_configured_is_asked(tmp_path):
    tls = settings(tmp_path, alice(), service=Service.HTTPS)
    assert kinds(ComplianceConfig(AUDIT)) == [FileSizePolicy]
    every = ComplianceConfig(
        AUDIT,
        server="https://x.test/ask",
        tls=tls,
        domains=("x.test",),
        types=("image/*",),
        files=False,
        captures=False,
    )
    assert kinds(every) == [
        NoCapturesPolicy,
        NoFilesPolicy,
        FileSizePolicy,
        FileTypePolicy,
        DomainPolicy,
        ComplianceServer,
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"server": "https://x.test/"}, "client certificate"),
        ({"server": "http://x.test/"}, "https"),
        ({"largest": 0}, "bytes"),
        ({"tls": TlsSettings(service=Service.XMPP)}, "another service"),
    ],
)
def test_what_cannot_be_is_an_error(more, words):
    with pytest.raises(ConfigurationError, match=words):
        ComplianceConfig(AUDIT, **more)

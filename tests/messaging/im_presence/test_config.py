"""The table of IM and Presence: checked before anything is sent."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.messaging.config import MessagingConfig
from softphone.messaging.im_presence import ImPresenceConfig, PresenceNode
from softphone.security import KeyMaterial
from softphone.trust import TlsSettings
from tests.support.chat import ALICE, NO_TLS


def test_nodes_have_the_port_that_is_said_or_8443():
    config = ImPresenceConfig(("IMP1.example.test", "imp2.example.test:443", "[2001:db8::1]"))
    assert config.nodes == (
        PresenceNode("imp1.example.test", 8443),
        PresenceNode("imp2.example.test", 443),
        PresenceNode("2001:db8::1", 8443),
    )
    assert config.nodes[2].address == "[2001:db8::1]:8443"
    assert config.node_of("imp2.example.test").soap_port == 443
    assert config.node_of("imp9.example.test").soap_port == 8443


@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("imp1.example.test", True),
        ("imp9.example.test", True),
        ("node.other.test", True),
        ("other.test", False),
        ("evilexample.test", False),
        ("example.test.evil", False),
        ("x/.example.test", False),
        ("-.example.test", False),
    ],
)
def test_a_home_node_is_listed_or_in_the_domain(host, may):
    config = ImPresenceConfig(("imp1.example.test", "node.other.test"))
    assert config.may_move_to(host, "example.test") is may
    fixed = ImPresenceConfig(("imp1.example.test",), follow_home_node=False)
    assert not fixed.may_move_to(host, "example.test")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"servers": ()}, "1 to 8 nodes"),
        ({"servers": ("a.test", "A.test:1")}, "listed twice"),
        ({"servers": ("a.test/x",)}, "host or host:port"),
        ({"servers": ("a.test:x",)}, "host or host:port"),
        ({"tls": TlsSettings()}, "another service"),
        ({"xmpp_port": 0}, "xmpp_port"),
        ({"version": "../x"}, "version"),
        ({"client_type": '"'}, "client_type"),
        ({"client_version": ""}, "client_version"),
        ({"user": "\n"}, "user"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_what_is_wrong_is_named(changes, words):
    with pytest.raises(ConfigurationError, match=words):
        ImPresenceConfig(**{"servers": ("a.test",), **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"server": "h"}, "im.server"),
        ({"password": None, "tls": NO_TLS}, "im.password"),
        ({"allow_plain": True}, "one-time password takes"),
    ],
)
def test_an_account_says_one_way_to_sign_in(changes, words):
    given = {"password": KeyMaterial(b"x"), "tls": NO_TLS} | changes
    with pytest.raises(ConfigurationError, match=words):
        MessagingConfig(ALICE, im_presence=ImPresenceConfig(("a.test",)), **given)

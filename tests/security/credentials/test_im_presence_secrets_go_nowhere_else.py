"""What signs a user in to IM and Presence goes to verified nodes only, and stands in no text.

Measured at the node, in octets and requests, and in every log line, repr and exception.
"""

from __future__ import annotations

import logging
import traceback

import pytest

from softphone.errors import CertificateError, SoftphoneError
from softphone.lab import CertificateNames
from softphone.lab.im_presence import ImPresenceFault
from softphone.security import KeyMaterial
from tests.security.test_secrets_do_not_reach_logs import everything_of
from tests.support.certificates import authority, foreign
from tests.support.chat import DOMAIN
from tests.support.im_presence import HOME, PASSWORD, TOKEN, Given, forms, running_site


@pytest.fixture
async def site(tmp_path, entropy):
    async with running_site(tmp_path, entropy) as running:
        yield running


async def refused(site, **more):
    with pytest.raises(CertificateError):
        async with site.client(**more):
            raise AssertionError("signed in")


@pytest.mark.parametrize(
    "web",
    [
        lambda: foreign().server(HOME),
        lambda: authority().server("other.test"),
        lambda: authority().server(DOMAIN, CertificateNames(dns=(f"x{HOME}",))),
    ],
)
async def test_a_wrong_certificate_of_the_service_gets_no_request(site, web):
    node = await site.start(web=web())
    await refused(site)
    # XMPP was verified, and told a stream header; no mechanism was begun.
    assert (node.asked, node.streams.mechanisms) == ([], [])


@pytest.mark.parametrize(
    "chat", [lambda: foreign().server(DOMAIN), lambda: authority().server("other.test")]
)
@pytest.mark.parametrize("token", [True, False])
async def test_a_wrong_certificate_of_xmpp_gets_0_octets(site, chat, token):
    async def fetch():
        raise AssertionError("a token was asked for")

    account = {"password": None, "token": fetch} if token else {}
    node = await site.start(chat=chat(), tokens={TOKEN: "alice"})
    await refused(site, account=account)
    assert (node.asked, node.streams.octets) == ([], 0)


@pytest.mark.parametrize(
    ("faults", "account", "made"),
    [
        ((), {}, 2),
        ((ImPresenceFault.SOAP_FAULT,), {}, 0),
        ((ImPresenceFault.EXPIRED_PASSWORD,), {}, 3),
        ((ImPresenceFault.SESSION_LOST,), {}, 1),
        ((ImPresenceFault.OTHER_DOMAIN,), {}, 1),
        ((), {"password": KeyMaterial(b"a wrong secret")}, 0),
        ((), {"token": None}, 0),
    ],
)
async def test_no_secret_stands_in_a_log_a_repr_or_an_exception(
    site, caplog, faults, account, made
):
    async def fetch():
        return TOKEN

    caplog.set_level(logging.DEBUG)
    given = site.entropy = Given(site.entropy)
    if "token" in account:
        account = {"password": None, "token": fetch}
    node = await site.start(faults=set(faults), tokens={f"not-{TOKEN}": "alice"})
    client = site.client(account=account)
    shown = []
    try:
        async with client:
            node.end_sessions()
            shown.extend(everything_of(client))
    except SoftphoneError as error:
        shown.extend(traceback.format_exception(error))
    shown += [*everything_of(client), *everything_of(site.config(account=account))]
    text = "\n".join([caplog.text, *shown])
    # Session keys and one-time passwords that the node gave out.
    assert len(given.made) == made
    secrets = {PASSWORD, "a wrong secret", TOKEN, *given.made}
    for secret in secrets:
        for form in forms(secret):
            assert form not in text

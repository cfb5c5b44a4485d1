"""A token is sent to no server outside of the user's domain, whatever profile or device file names.

The servers have valid certificates, and record every octet: the call server of a signed device
file, the voicemail server and the IM and Presence node of the service profile.  They get nothing
before the user confirms them, by the same rule as for the password.
"""

from __future__ import annotations

import asyncio

import pytest

from softphone import Phone
from softphone.errors import CredentialsWithheld
from softphone.lab import LabServer
from softphone.lab.cucm.device_file import LabNode
from softphone.lab.cucm.user_files import PROFILE_NAME
from softphone.phone.user_sign_in import (
    ServiceOutcome,
    UserService,
    UserSignInCallbacks,
)
from tests.support.certificates import raw_server_context
from tests.support.user_sign_in import BY_TOKEN, resolver_of, signed_on, token_config_of

EVIL = "login.evil.test"
PROFILE = """<serviceProfile>
<Voicemail><Primary><Address>{host}</Address><Port>{voicemail}</Port></Primary></Voicemail>
<ImPresence><Primary><Address>{host}</Address><Port>{presence}</Port></Primary></ImPresence>
</serviceProfile>"""
NAMED = (UserService.PHONE, UserService.CHAT, UserService.VOICEMAIL)


class Recorder:
    """A TLS server that keeps what it gets, and hangs up then."""

    def __init__(self) -> None:
        self.octets = b""

    async def start(self, lab) -> asyncio.Server:
        issued = lab.files.authority.server(EVIL).write(lab.files.folder, "evil")
        self.server = await asyncio.start_server(
            self._serve, "127.0.0.1", ssl=raw_server_context(issued)
        )
        self.port = self.server.sockets[0].getsockname()[1]
        return self.server

    async def _serve(self, reader, writer) -> None:
        self.octets += await reader.read(65_536)
        writer.transport.abort()


@pytest.fixture
async def site(tmp_path):
    """The lab, whose profile and device file name servers of another domain."""
    async with LabServer(tmp_path / "lab", BY_TOKEN) as lab:
        lab.keeper = await signed_on(lab, "erin")
        lab.sip, lab.web = Recorder(), Recorder()
        async with await lab.sip.start(lab), await lab.web.start(lab):
            place = (EVIL, lab.sip.port)
            lab.cluster.changes["CSFERIN"] = {"nodes": (LabNode(place, place, lab.sip.port),)}
            lab.cluster.documents[PROFILE_NAME] = PROFILE.format(
                host=EVIL, voicemail=lab.web.port, presence=lab.im_presence.address[1]
            ).encode()
            lab.dns.zone[EVIL, "A"] = ("127.0.0.1",)
            yield lab


async def sign_in(lab, folder, confirm=None):
    config = token_config_of(lab, folder, lab.keeper, "erin")
    async with Phone(resolver=resolver_of(lab)) as phone:
        user = await phone.sign_in_user(config, callbacks=UserSignInCallbacks(confirm))
    return {each.service: each for each in user.services}


async def test_no_octet_before_the_user_confirms_and_the_token_after(site, tmp_path):
    states = await sign_in(site, tmp_path)
    for service in NAMED:
        state = states[service]
        assert state.outcome is ServiceOutcome.FAILED
        assert isinstance(state.error, CredentialsWithheld), state
        assert EVIL in state.why
    assert (site.sip.octets, site.web.octets, site.im_presence.streams.octets) == (b"", b"", 0)
    assert site.im_presence.streams.mechanisms == []
    assert states[UserService.DIRECTORY].outcome is ServiceOutcome.SIGNED_IN
    asked = []

    async def agree(question):
        asked.append(question.target.host)
        return True

    states = await sign_in(site, tmp_path, agree)
    assert set(asked) == {EVIL}
    assert site.sip.octets.startswith(b"REGISTER ")
    assert b"\r\nAuthorization: Bearer " in site.web.octets
    assert states[UserService.CHAT].outcome is ServiceOutcome.SIGNED_IN

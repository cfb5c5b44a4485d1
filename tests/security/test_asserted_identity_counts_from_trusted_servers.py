"""P-Asserted-Identity is believed from servers that the account trusts, and from nobody else."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from softphone.config import AccountConfig
from softphone.lab import LabServer
from softphone.phone import Phone
from softphone.sans_io import Flow, PeerIdentity, Transport
from softphone.security import IdentityAssurance
from softphone.sip import NameAddr, Request, parse_uri
from tests.support.calling import account_of, next_call
from tests.support.direct import clear

CAROL = '"Carol King" <sip:1003@pbx.test>'


async def invited(account, host):
    """The call that a PBX at `host` makes over UDP, which says that Carol calls."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as pbx:
        pbx.bind((host, 0))
        port = pbx.getsockname()[1]
        uri = parse_uri("sip:+4930123@127.0.0.1")
        fields = [
            ("Via", f"SIP/2.0/UDP {host}:{port};branch=z9hG4bK1;rport"),
            ("From", str(NameAddr("PBX", parse_uri("sip:pbx@127.0.0.1")).with_tag("1"))),
            ("To", "<sip:+4930123@127.0.0.1>"),
            ("Call-ID", f"1@{host}"),
            ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:pbx@{host}:{port}>"),
            ("P-Asserted-Identity", CAROL),
            ("Diversion", "<sip:+4930999@pbx.test>;reason=no-answer"),
        ]
        pbx.sendto(Request.build("INVITE", uri, fields).encode(), account.listening[1:])
        call = await next_call(account)
        found = call.asserted_identity, call.dialed.number, str(call.headers.get("Diversion"))
        call.reject(603)
        return found


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.66"])
async def test_in_clear_only_from_addresses_that_are_named(host):
    async with Phone() as phone:
        bob = await phone.register(clear("bob", trust_identity_from=("127.0.0.66",)))
        identity, dialed, diversion = await invited(bob, host)
    assert diversion.startswith("<sip:+4930999@pbx.test>")
    if host == "127.0.0.66":
        assert (identity.name, identity.number) == ("Carol King", "1003")
        assert identity.assurance is IdentityAssurance.ASSERTED
        assert dialed == "+4930999"
    else:
        assert (identity.name, identity.source) == ("PBX", "from")
        assert identity.assurance is IdentityAssurance.CLAIMED
        assert dialed == "+4930123"


async def test_over_tls_the_account_s_own_verified_server_is_trusted(tmp_path):
    async with LabServer(tmp_path / "lab") as lab, Phone() as phone:
        account = await account_of(lab, phone, "alice")
        flow = account.flow
        assert account._asserts(flow)
        stranger = Flow(999, Transport.TLS, flow.local, ("127.0.0.66", 5061), flow.identity)
        other = PeerIdentity("CN=x", ("dns:x.test",), "ee" * 32, "TLSv1.3", "c")
        assert not account._asserts(replace(stranger, identity=other))
        assert not account._asserts(replace(flow, id=998, identity=None, transport=Transport.UDP))
        assert not account._asserts(None)


def test_the_addresses_are_checked_when_the_account_is_made():
    config = AccountConfig(
        aor="sip:a@h", listen="udp:127.0.0.1:0", trust_identity_from=("192.0.2.0/24",)
    )
    assert config.trusts_identity_from("192.0.2.7")
    assert not config.trusts_identity_from("192.0.3.7")

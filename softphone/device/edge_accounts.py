"""Makes the account configurations of a device that registers through an edge server.

The call server's name inside goes into requests, the edge servers and their Route are how it is
reached.  No certificate of the device is shown; SRTP is required, whatever the configuration says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from softphone.config import AccountConfig, EdgeAccess, OAuthConfig, TlsConfig
from softphone.device.accounts import line_account
from softphone.discovery import ServiceTarget
from softphone.edge import EdgeSignIn
from softphone.provisioning import Booted, ConfigDocument, EnrollmentNeeded
from softphone.trust import TrustLists

_MOST_EDGES = 5


def edge_accounts(
    signed_in: EdgeSignIn,
    device: str,
    configuration: ConfigDocument,
    *,
    tls: TlsConfig | None = None,
    oauth: OAuthConfig | None = None,
    installation: str | None = None,
    model: int = 503,
) -> list[AccountConfig]:
    """Make an account for each line of a device's configuration, reached through the edge.

    `tls` names the authorities that vouch for the edge.  `oauth` is the source of the token, for a
    device that registers with one.  `installation` are the twelve hex digits of an earlier boot.
    Raises EnrollmentNeeded for a device that registers with a token, without `oauth`.
    """
    config = configuration.config
    if config.oauth and oauth is None:
        raise EnrollmentNeeded(f"{device} registers with a token (OAuth), and none was given")
    booted = Booted(device, configuration, TrustLists(), None, Path(), installation=installation)
    access = edge_access(signed_in)
    accounts = []
    for line in config.lines:
        inside = line_account(booted, line, TlsConfig(), model=model)
        server = inside.aor_uri.host
        account = replace(
            inside,
            nodes=(),
            registrar=f"sip:{server}",
            edge=access,
            tls=tls or TlsConfig(),
            media=replace(inside.media, srtp=None),
        )
        if config.oauth:
            account = replace(account, persona="oauth", oauth=oauth, credentials=None)
        accounts.append(account)
    return accounts


def edge_access(signed_in: EdgeSignIn) -> EdgeAccess:
    """Return the `[edge]` of an account: the domain, the edge servers for SIP, and their Route."""
    session = signed_in.session
    found = session.configuration
    route = found.route if session.options.send_route else ""
    return EdgeAccess(session.domain, _places(found.sip[:_MOST_EDGES]), route)


def _places(targets: Sequence[ServiceTarget]) -> tuple[str, ...]:
    return tuple(map(str, targets))

"""Makes the unsigned files for users, not devices, that CUCM's file service has.

The service profile names a user's servers; `jabber-config.xml` has settings of the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from softphone.sans_io import Address

PROFILE_NAME = "SPDefault.cnf.xml"
"""The name of the default service profile."""
CONFIG_NAME = "jabber-config.xml"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def user_files(
    node: str, voicemail: Address | None = None, im_presence: Address | None = None
) -> dict[str, bytes]:
    """Return the lab's files by name; `node` is the full name of its servers."""
    places = {"Voicemail": voicemail, "ImPresence": im_presence}
    ports = {name: place[1] for name, place in places.items() if place is not None}
    return {PROFILE_NAME: service_profile(node, ports), CONFIG_NAME: jabber_config(node)}


def service_profile(node: str, ports: Mapping[str, int]) -> bytes:
    """Return a service profile: servers at these ports, and contacts by UDS as the user."""
    servers = "".join(
        f"<{name}><Primary><Address>{escape(node)}</Address><Port>{port}</Port>"
        f"<Protocol>HTTPS</Protocol></Primary></{name}>"
        for name, port in ports.items()
    )
    return (
        f"{_HEAD}<serviceProfile>{servers}"
        "<Directory><UseUDS>true</UseUDS><UseUserCredential>true</UseUserCredential></Directory>"
        "</serviceProfile>"
    ).encode()


def jabber_config(node: str) -> bytes:
    """Return settings of each kind: one stricter, one that relaxes, one that names a server."""
    return (
        f'{_HEAD}<config version="1.0">'
        "<Policies><Disable_IM_History>true</Disable_IM_History>"
        "<file_transfer_enabled>true</file_transfer_enabled></Policies>"
        f"<Voicemail><VoicemailPrimaryServer>{escape(node)}</VoicemailPrimaryServer></Voicemail>"
        "</config>"
    ).encode()

"""Makes the unsigned files for users, not devices, that CUCM's file service has.

The service profile names a user's servers; `jabber-config.xml` has settings of the client.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from softphone.sans_io import Address

PROFILE_NAME = "SPDefault.cnf.xml"
"""The name of the default service profile."""
CONFIG_NAME = "jabber-config.xml"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def user_files(node: str, voicemail: Address | None = None) -> dict[str, bytes]:
    """Return the lab's files by name; `node` is the full name of its servers."""
    port = None if voicemail is None else voicemail[1]
    return {PROFILE_NAME: service_profile(node, port), CONFIG_NAME: jabber_config(node)}


def service_profile(node: str, voicemail_port: int | None) -> bytes:
    """Return a service profile: voicemail, if there is one, and contacts by UDS as the user."""
    voicemail = (
        f"<Voicemail><Primary><Address>{escape(node)}</Address><Port>{voicemail_port}</Port>"
        "<Protocol>HTTPS</Protocol></Primary></Voicemail>"
    )
    return (
        f"{_HEAD}<serviceProfile>{voicemail if voicemail_port is not None else ''}"
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

"""The connected identity: the far end of a call as its messages name it.

It changes during a call, after a transfer, a pickup or a forward.  It is in responses to an INVITE,
in re-INVITE and UPDATE, and in the responses to ours; those in BYE, ACK, INFO, MESSAGE and NOTIFY
are ignored.  The leg trusts only a server that `LegSetup.asserts` accepts.

RFC 3325, RFC 3323, RFC 4916, draft-ietf-sip-privacy-04.
"""

from __future__ import annotations

from dataclasses import replace

from softphone.sans_io import Flow
from softphone.sip import (
    InviteAnswered,
    InviteUsage,
    ModificationAnswered,
    ModificationReceived,
    ProvisionalReceived,
    Request,
    Response,
    SessionRefreshed,
    SipEvent,
)
from softphone.sip.message import (
    AssertedIdentity,
    IdentitySource,
    asserted_identity,
    changed_from,
    same_party,
)
from softphone.sip.transport import same_host

_NAMING = (
    ProvisionalReceived,
    InviteAnswered,
    ModificationReceived,
    ModificationAnswered,
    SessionRefreshed,
)


def identity_in(
    event: SipEvent,
    message: Request | Response,
    usage: InviteUsage,
    *,
    remote_party_id_first: bool,
    known_tag: str,
) -> AssertedIdentity | None:
    """Return the identity that a message of the call gives its far end; None when it gives none.

    `known_tag` is the To tag of the response that named the far end last, "" if none did: when
    another fork answers without an identity, that of the first is dropped.
    """
    if not isinstance(event, _NAMING):
        return None
    if message.asserts_identity:
        found = asserted_identity(message, remote_party_id_first=remote_party_id_first)
        if found is not None:
            return found
    if isinstance(message, Request):
        return changed_from(message, usage.remote.uri)
    if isinstance(event, InviteAnswered) and known_tag not in ("", message.to.tag):
        return AssertedIdentity(usage.remote, IdentitySource.DIALOG)
    return None


def came_on(flow: Flow | None, message: Request | Response) -> bool:
    """Whether the peer of a dialog's flow has itself sent a message of the dialog.

    Over a verified connection nobody else can.  In clear requests may also come from the far end,
    past the server.
    """
    if flow is None or flow.identity is not None or isinstance(message, Response):
        return flow is not None
    return same_host(message.top_via.source, flow.remote[0])


def keep_name(identity: AssertedIdentity, known: AssertedIdentity | None) -> AssertedIdentity:
    """Add the display name asserted earlier for the same party to an identity without one."""
    if known is None or identity.address.display_name or not known.address.display_name:
        return identity
    if not same_party(known.address, identity.address):
        return identity
    name = known.address.display_name
    return replace(identity, address=replace(identity.address, display_name=name))

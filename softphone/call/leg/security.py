"""The security of a call's connection and of its far end, taken from flows and messages.

The far end's level comes from our own verification or from a server's report.  Each fork is a far
end of its own: a report counts for the fork that it came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from softphone.personas import StandardPersona
from softphone.sans_io import Flow, PeerIdentity, Side
from softphone.security import (
    KeyExchange,
    MediaSecurity,
    SecurityLevel,
    SecurityPolicy,
    SecurityState,
    Shortfall,
    SignalingSecurity,
)
from softphone.sip import InviteUsage, Request, Response, SipUri, Uri

_NULL_CIPHER = "NULL"

MAXIMUM_SPEAKERS = 32
"""The maximum number of forks whose reported level is kept."""


FlowProof: TypeAlias = Callable[[Flow], str | None]
"""Says what a far end without certificate has proven: "digest", "address", or None for nothing."""


def proves_nothing(_: Flow) -> str | None:
    """Trust no far end that has shown no certificate."""
    return None


def signaling_security(flow: Flow | None, proof: FlowProof = proves_nothing) -> SignalingSecurity:
    """Return the security of the flow that carries a dialog; none for no flow or a clear one.

    `proof` is asked about a TLS connection whose far end has shown no certificate.
    """
    if flow is None:
        return SignalingSecurity()
    identity = flow.identity
    if identity is None:
        if flow.session is None:
            return SignalingSecurity()
        protocol, cipher = flow.session
        encrypted = _NULL_CIPHER not in cipher.upper()
        return SignalingSecurity(protocol, cipher, verdict=proof(flow), encrypted=encrypted)
    return SignalingSecurity(
        protocol=identity.protocol,
        cipher=identity.cipher,
        peer_identity=identity.subject,
        verdict=identity.verdict,
        revocation=identity.revocation,
        encrypted=_NULL_CIPHER not in identity.cipher.upper(),
    )


def certificate_names(identity: PeerIdentity, uri: SipUri) -> bool:
    """Whether a verified certificate names the user, or the host, of `uri` (RFC 5922 7.1).

    A certificate with user URIs identifies those users only.
    """
    user = uri.user or ""
    host = uri.host.lower().strip("[]")
    users = [name for name in identity.names if name.startswith("uri:") and "@" in name]
    if users:
        named = (name.partition(":")[2].partition(":")[2].rpartition("@") for name in users)
        # The user part is case-sensitive, the host is not (RFC 3261 section 19.1.4).
        return any(one == user and at.lower() == host for one, _, at in named)
    return any(
        name.partition(":")[2].lower().removeprefix("sips:").removeprefix("sip:") == host
        for name in identity.names
        if name.startswith(("dns:", "ip:", "uri:"))
    )


def direct_far_end(
    message: Request | Response, flow: Flow | None, *, caller: Uri | None
) -> SecurityLevel | None:
    """Return the far end's level if it is our direct peer, else None.

    It is when the message came over a verified connection and through no proxy (one Via, no
    Record-Route).  For an incoming call, `caller` is the caller's URI, which the certificate must
    name.  For an outgoing call it is None: the connection was verified against the URI that we
    called.
    """
    if flow is None or flow.identity is None or message.record_routes:
        return None
    if isinstance(message, Request) and len(message.vias) != 1:
        return None
    if caller is not None and not (
        isinstance(caller, SipUri) and certificate_names(flow.identity, caller)
    ):
        return None
    return signaling_security(flow).level


def flow_shortfalls(
    policy: SecurityPolicy, flow: Flow, *, fips: bool, proof: FlowProof = proves_nothing
) -> tuple[Shortfall, ...]:
    """Return why no call over `flow` can meet the policy, whatever its media and its far end.

    Call it before an INVITE leaves: an offer holds keys, and a connection in clear exposes them.
    """
    best = MediaSecurity("audio", "RTP/SAVP", policy.suites[0], KeyExchange.SDES)
    state = SecurityState(signaling_security(flow, proof), (best,), SecurityLevel.ENCRYPTED, fips)
    return policy.judge(state)


class FarEndSecurity:
    """The security levels of one call's far ends, by remote tag.

    `remote_tag` is that of the far end that the session is with.  `vouched` says whether the server
    at the other end of a flow may report the level of far ends; with `direct` there is no server.
    """

    def __init__(
        self, persona: StandardPersona, vouched: Callable[[Flow | None], bool], *, direct: bool
    ) -> None:
        self.remote_tag = ""
        self._persona = persona
        self._vouched = vouched
        self.direct = direct
        self._words: dict[str, SecurityLevel | None] = {}
        self._reported: tuple[str, ...] = ()

    @property
    def level(self) -> SecurityLevel | None:
        """The level of the far end that the session is with; None while it is unknown."""
        return self._words.get(self.remote_tag)

    @property
    def by_word(self) -> bool:
        """Whether the level was reported in a message rather than verified by us."""
        return self.remote_tag in self._reported

    def remote_tag_of(self, message: Request | Response) -> str:
        """The far end's tag: From in a request, To in a response to ours."""
        tag = message.from_.tag if isinstance(message, Request) else message.to.tag
        return tag or self.remote_tag

    def note_message(
        self,
        message: Request | Response,
        usage: InviteUsage | None,
        flow: Flow | None,
        *,
        adopt: bool = False,
        only_lower: bool = False,
        moved: bool = False,
    ) -> None:
        """Note the level, if a message reports one; with `only_lower` only a lower one.

        With `adopt` the session is with the message's far end from now on.
        With `moved` the far end is now another party, for whom the level so far does not count.
        Ignores further forks beyond `MAXIMUM_SPEAKERS`.
        """
        speaker = self.remote_tag_of(message)
        if adopt:
            self.remote_tag = speaker
        if speaker not in self._words and len(self._words) >= MAXIMUM_SPEAKERS:
            return
        direct = self._verified(message, usage, flow) if self.direct else None
        vouched = direct is not None or self._vouched(flow)
        word = self._persona.report_far_end(message, vouched=vouched)
        if word.reported:
            if not only_lower or _is_lower(word.level, self._words.get(speaker)):
                self._words[speaker] = word.level
                if speaker not in self._reported:
                    self._reported = (*self._reported, speaker)
        elif moved and speaker in self._reported:
            self._words[speaker] = None
            self._reported = tuple(each for each in self._reported if each != speaker)
        elif direct is not None:
            self._words.setdefault(speaker, direct)

    @staticmethod
    def _verified(
        message: Request | Response, usage: InviteUsage | None, flow: Flow | None
    ) -> SecurityLevel | None:
        called = usage is not None and usage.side is Side.SERVER
        caller = usage.remote.uri if usage is not None and called else None
        return direct_far_end(message, flow, caller=caller)


def _is_lower(new: SecurityLevel | None, old: SecurityLevel | None) -> bool:
    """Whether `new` is a lower level than `old`; None (unknown) is below any known level."""
    if old is None:
        return new is SecurityLevel.NOT_SECURE
    return new is None or new < old

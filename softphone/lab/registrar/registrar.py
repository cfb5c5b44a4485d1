"""The lab's registrar: bindings and the processing of REGISTER, sans-IO (RFC 3261 section 10.3).

Supports Path (RFC 3327), Service-Route (RFC 3608), outbound's reg-id, instance and flow (RFC 5626
section 6) and public GRUUs (RFC 5627 section 5.4).  The caller authorizes a request first: by
digest (`softphone.sip.auth.digest_server`) or by `certificate_speaks_for`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from softphone.sans_io import Flow, Timers
from softphone.sip.message import (
    AbsoluteUri,
    Field,
    MalformedMessage,
    NameAddr,
    Request,
    SipUri,
    digits,
    parse_uri,
    unescape,
)

_Q = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_HOUR = 3600
_Key = tuple[bytes, str]


@dataclass(frozen=True, slots=True)
class RegistrarConfig:
    """The registrar's limits; times in seconds.

    `domains` are those whose AORs are served, in lower case; `flow_timer` is given to outbound
    flows, None for none; `service_route` goes into every 2xx.  `maximum_contacts` bounds the
    bindings of one AOR, `maximum_bindings` all of them.
    """

    domains: tuple[str, ...]
    minimum_expires: int = 30
    default_expires: int = 3600
    maximum_expires: int = 7200
    maximum_contacts: int = 10
    maximum_bindings: int = 100_000
    outbound: bool = True
    gruu: bool = True
    flow_timer: int | None = 30
    service_route: tuple[NameAddr, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredBinding:
    """One binding of an AOR.

    `flow` is where the REGISTER came from.  Requests go over `path`.  Without a path they go over
    `flow` when `outbound` was agreed, else to `contact.uri`, over `flow` as long as it is open.
    """

    contact: NameAddr
    expires_at: float
    q: float
    call_id: str
    cseq: int
    path: tuple[NameAddr, ...]
    flow: Flow
    instance_id: str = ""
    reg_id: int = 0
    outbound: bool = False
    updated_at: float = 0.0

    @property
    def flow_bound(self) -> bool:
        """Whether the binding ends with its flow; beyond an edge proxy the flow is the proxy's."""
        return self.outbound and not self.path

    def same_as(self, other: StoredBinding) -> bool:
        """Whether `other` replaces this one (RFC 3261 section 10.3, RFC 5626 section 6)."""
        if self.outbound and other.outbound:
            return (self.instance_id, self.reg_id) == (other.instance_id, other.reg_id)
        return self.contact.uri.equivalent(other.contact.uri)


@dataclass(frozen=True, slots=True)
class RegistrarReply:
    """The answer to a REGISTER, for `endpoint.respond`."""

    status: int
    reason: str = ""
    headers: tuple[Field, ...] = ()


class _RegistrationRefusal(Exception):
    """The reason why a REGISTER changes nothing."""

    def __init__(self, reply: RegistrarReply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def _refuse(status: int, reason: str = "", *headers: Field) -> _RegistrationRefusal:
    return _RegistrationRefusal(RegistrarReply(status, reason, headers))


class Registrar:
    """The bindings of all AORs of some domains."""

    def __init__(
        self, config: RegistrarConfig, *, serves: Callable[[SipUri], bool] | None = None
    ) -> None:
        """`serves` says whether an AOR exists; None accepts every AOR of the domains."""
        self._config = config
        self._serves = serves
        self._bindings: dict[_Key, tuple[StoredBinding, ...]] = {}
        self._on_flow: dict[Flow, set[_Key]] = {}
        self._count = 0
        self._timers: Timers[_Key] = Timers()

    def __len__(self) -> int:
        return self._count

    def handle_register(self, request: Request, *, flow: Flow, now: float) -> RegistrarReply:
        """Process one REGISTER that has been authorized (RFC 3261 section 10.3, steps 5 to 8).

        Applies all of its contacts, or none.
        """
        self.handle_timer(now=now)
        try:
            aor = self._aor_of(request)
            key = _key(aor)
            before = self._bindings.get(key, ())
            if request.headers.get_all("Contact"):
                after = self._update(before, request, flow, now)
                self._store(key, after)
            else:
                after = before
            return self._accepted(request, aor, after, flow, now)
        except _RegistrationRefusal as refusal:
            return refusal.reply

    def bindings(self, aor: SipUri, *, now: float) -> Sequence[StoredBinding]:
        """The live bindings of an AOR, highest q first; among equals, the latest first.

        Of outbound bindings with the same instance only the latest flow counts (RFC 5626
        section 7).  A GRUU (parameter gr) gives those of its instance (RFC 5627 section 5.4).
        """
        wanted = aor.parameter("gr")
        live = [one for one in self._bindings.get(_key(aor), ()) if one.expires_at > now]
        if wanted is not None:
            instance = unescape(wanted).decode("utf-8", "replace")
            live = [one for one in live if one.instance_id == instance]
        live.sort(key=lambda one: (-one.q, -one.updated_at))
        seen: set[str] = set()
        chosen: list[StoredBinding] = []
        for one in live:
            if one.outbound and one.instance_id in seen:
                continue
            if one.outbound:
                seen.add(one.instance_id)
            chosen.append(one)
        return chosen

    def remove_bindings(self, aor: SipUri) -> None:
        """Remove all bindings of an AOR."""
        self._store(_key(aor.bare()), ())

    def flow_died(self, flow: Flow) -> None:
        """Remove the outbound bindings of a flow (RFC 5626 section 7)."""
        for key in tuple(self._on_flow.get(flow, ())):
            kept = [one for one in self._bindings[key] if not (one.flow_bound and one.flow == flow)]
            self._store(key, tuple(kept))

    def handle_timer(self, *, now: float) -> None:
        """Remove expired bindings."""
        while (key := self._timers.pop_due(now)) is not None:
            live = tuple(one for one in self._bindings.get(key, ()) if one.expires_at > now)
            self._store(key, live)

    def next_timer(self) -> float | None:
        """The time of the earliest expiry; None without bindings."""
        return self._timers.next_deadline()

    # One REGISTER

    def _aor_of(self, request: Request) -> SipUri:
        aor = request.to.uri
        if not isinstance(aor, SipUri) or aor.host.lower() not in self._config.domains:
            raise _refuse(404, "No such domain here")
        if self._serves is not None and not self._serves(aor.bare()):
            raise _refuse(404, "No such user here")
        return aor.bare()

    def _update(
        self, before: tuple[StoredBinding, ...], request: Request, flow: Flow, now: float
    ) -> tuple[StoredBinding, ...]:
        """The bindings after a REGISTER with contacts.  Raises _RegistrationRefusal."""
        if "*" in request.headers.get_all("Contact"):
            if len(request.headers.get_all("Contact")) > 1 or request.expires != 0:
                raise _refuse(400, "A wildcard stands alone and with Expires 0")
            for one in before:
                _check_order(one, request)
            return ()
        contacts = request.contacts
        if len(contacts) > self._config.maximum_contacts:
            raise _refuse(403, "Too many contacts")
        outbound = self._outbound_applies(request)
        after = list(before)
        for contact in contacts:
            binding = self._read(contact, request, flow, outbound, now)
            after = _with_binding(after, binding, request, now)
        if len(after) > self._config.maximum_contacts:
            raise _refuse(403, "Too many contacts")
        if self._count - len(before) + len(after) > self._config.maximum_bindings:
            raise _refuse(503, "", ("Retry-After", "60"))
        return tuple(after)

    def _outbound_applies(self, request: Request) -> bool:
        """Whether outbound is used for this REGISTER (RFC 5626 section 6).

        Raises _RegistrationRefusal.
        """
        asking = [
            contact
            for contact in request.contacts
            if contact.parameter("reg-id") and contact.parameter("+sip.instance")
        ]
        live = [one for one in asking if self._expires_of(one, request) > 0]
        if len(live) > 1:
            raise _refuse(400, "One reg-id at a time")
        if not asking or not self._config.outbound or not request.supports("outbound"):
            return False
        if len(request.vias) > 1 and not _edge_speaks_outbound(request):
            raise _refuse(439, "First Hop Lacks Outbound Support")
        return True

    def _read(
        self, contact: NameAddr, request: Request, flow: Flow, outbound: bool, now: float
    ) -> StoredBinding:
        expires = self._expires_of(contact, request)
        shortest = self._config.minimum_expires
        if 0 < expires < min(shortest, _HOUR):
            raise _refuse(423, "", ("Min-Expires", str(shortest)))
        q = contact.parameter("q")
        if q is not None and _Q.fullmatch(q) is None:
            raise _refuse(400, "Malformed q")
        instance = (contact.parameter("+sip.instance") or "").removeprefix("<").removesuffix(">")
        reg_id = digits(contact.parameter("reg-id") or "0", 2**31 - 1) or 0
        for name in ("expires", "q", "pub-gruu", "temp-gruu"):
            contact = contact.without_parameter(name)
        return StoredBinding(
            contact=contact,
            expires_at=now + min(expires, self._config.maximum_expires),
            q=1.0 if q is None else float(q),
            call_id=request.call_id,
            cseq=request.cseq.number,
            path=request.paths,
            flow=flow,
            instance_id=instance,
            reg_id=reg_id if instance else 0,
            outbound=outbound and bool(instance and reg_id),
            updated_at=now,
        )

    def _expires_of(self, contact: NameAddr, request: Request) -> int:
        """The requested expiry of a contact; malformed: an hour (RFC 3261 section 10.2.1.1)."""
        stated = contact.parameter("expires")
        if stated is not None:
            seconds = digits(stated, 2**32 - 1)
            return _HOUR if seconds is None else seconds
        if "Expires" in request.headers:
            return _HOUR if request.expires is None else request.expires
        return self._config.default_expires

    # Answers

    def _accepted(
        self,
        request: Request,
        aor: SipUri,
        bindings: tuple[StoredBinding, ...],
        flow: Flow,
        now: float,
    ) -> RegistrarReply:
        config = self._config
        gruu = config.gruu and request.supports("gruu")
        headers: list[Field] = [
            ("Contact", str(_listed(one, aor if gruu else None, now)))
            for one in bindings
            if one.expires_at > now
        ]
        headers += [("Path", str(path)) for path in request.paths if request.supports("path")]
        headers += [("Service-Route", str(route)) for route in config.service_route]
        mine = [one for one in bindings if one.outbound and one.flow == flow]
        if any(one.call_id == request.call_id for one in mine):
            headers.append(("Require", "outbound"))
            if config.flow_timer is not None and len(request.vias) == 1:
                headers.append(("Flow-Timer", str(config.flow_timer)))
        return RegistrarReply(200, "", tuple(headers))

    def _store(self, key: _Key, bindings: tuple[StoredBinding, ...]) -> None:
        before = self._bindings.pop(key, ())
        self._count += len(bindings) - len(before)
        for flow in {one.flow for one in before if one.flow_bound}:
            keys = self._on_flow[flow]
            keys.discard(key)
            if not keys:
                del self._on_flow[flow]
        self._timers.cancel(key)
        if not bindings:
            return
        self._bindings[key] = bindings
        for flow in {one.flow for one in bindings if one.flow_bound}:
            self._on_flow.setdefault(flow, set()).add(key)
        self._timers.set(key, min(one.expires_at for one in bindings))


def _key(aor: SipUri) -> _Key:
    """The key of an AOR: sip and sips name the same user (RFC 3261 section 10.3, step 5)."""
    return unescape(aor.user or ""), aor.host.lower()


def _with_binding(
    bindings: list[StoredBinding], new: StoredBinding, request: Request, now: float
) -> list[StoredBinding]:
    """The bindings with `new` in place of the one it replaces, or without it if it expires."""
    kept: list[StoredBinding] = []
    for one in bindings:
        if one.same_as(new):
            _check_order(one, request)
        else:
            kept.append(one)
    return [*kept, new] if new.expires_at > now else kept


def _check_order(binding: StoredBinding, request: Request) -> None:
    """Refuse a REGISTER older than the binding it would change (RFC 3261 section 10.3, step 7)."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
        raise _refuse(500, "The request is older than the binding")


def _edge_speaks_outbound(request: Request) -> bool:
    """Whether the proxy next to the user agent marked its Path with ob (RFC 5626 section 5.1)."""
    if not request.paths:
        return False
    edge = request.paths[-1].uri
    return isinstance(edge, SipUri) and edge.parameter("ob") is not None


def _listed(binding: StoredBinding, aor: SipUri | None, now: float) -> NameAddr:
    """A binding as a Contact of the 2xx, with a public GRUU of `aor` if there is an instance."""
    contact = replace(binding.contact, display_name=None)
    contact = contact.with_parameter("expires", str(max(1, round(binding.expires_at - now))))
    if binding.q < 1.0:
        contact = contact.with_parameter("q", f"{binding.q:g}")
    if aor is not None and binding.instance_id:
        gruu = aor.with_parameter("gr", binding.instance_id)
        contact = contact.with_parameter("pub-gruu", str(gruu))
    return contact


def certificate_speaks_for(identities: Sequence[str], aor: SipUri) -> bool:
    """Whether a client certificate names an AOR (RFC 5922 section 4, RFC 5280 section 4.2.1.6).

    `identities` are those of `PeerIdentity.names`.  A URI SAN must equal the AOR, but for the
    scheme, which may be sip or sips.  Only a certificate without a SIP URI SAN may name its user by
    common name, which must be the user part or user@host.
    """
    names = [name.partition(":") for name in identities]
    uris = [
        uri
        for kind, _, text in names
        if kind == "uri" and isinstance(uri := _uri_or_none(text), SipUri)
    ]
    if uris:
        return any(_key(uri) == _key(aor) for uri in uris)
    user = unescape(aor.user or "").decode("utf-8", "replace")
    allowed = {user.lower(), f"{user}@{aor.host}".lower()}
    return bool(user) and any(kind == "cn" and text.lower() in allowed for kind, _, text in names)


def _uri_or_none(text: str) -> SipUri | AbsoluteUri | None:
    try:
        return parse_uri(text)
    except MalformedMessage:
        return None

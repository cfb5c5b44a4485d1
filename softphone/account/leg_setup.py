"""Builds the setup of an account's calls: policy, persona, Contact, INVITE; and SUBSCRIBE."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypedDict

from softphone.account.context import AccountContext
from softphone.account.first_hop import FirstHop
from softphone.call import LegSetup, MediaSetup
from softphone.call.leg import (
    AskPublic,
    CallMusicSource,
    FlowProof,
    HeaderFields,
    VideoSetup,
    proves_nothing,
    trusts_nobody,
)
from softphone.errors import MediaError, TransportError
from softphone.media import MediaConfig, PublicAddresses, StreamHandle, VideoBackend
from softphone.net.stream import addresses_of
from softphone.sans_io import Flow
from softphone.security import SecurityPolicy, SrtpPolicy
from softphone.sip import (
    Body,
    Failover,
    InviteRequest,
    MessageRequest,
    NameAddr,
    SipUri,
    SubscribeRequest,
)
from softphone.sip.auth import Authenticator
from softphone.sip.registration import NodeRegistration


def make_leg_setup(
    context: AccountContext,
    flow: Flow,
    srtp: SrtpPolicy | None = None,
    *,
    video: bool = False,
    inherited: SecurityPolicy | None = None,
    asserts: Callable[[Flow | None], bool] = trusts_nobody,
    proof: FlowProof = proves_nothing,
    longest: float = 0.0,
    call_music_source: CallMusicSource | None = None,
) -> LegSetup:
    """Make the setup of a leg over `flow`; `srtp` overrides for this call, `video` offers video.

    `inherited` is the policy of the call that this one is derived from; it applies as well.
    `asserts`, `proof` and `call_music_source` are those of `LegSetup`; `longest` seconds bound the
    call, 0 does not.  Raises SecurityShortfall when nothing can meet both policies.
    """
    given, defaults = context.dependencies, context.call_defaults
    policy = defaults.policy if srtp is None else _policy_with(context, srtp)
    policy = policy if inherited is None else policy.stricter(inherited)
    host, by_edge = flow.local[0], context.config.edge is not None
    return LegSetup(
        endpoint=context.machine.endpoint,
        change=context.driver.change,
        call_later=asyncio.get_running_loop().call_later,
        handlers=context.handlers,
        media=_media_setup(context, policy, flow, video=video),
        persona=context.persona,
        vouched=_nobody_vouches if by_edge else context.machine.agreements.vouches,
        asserts=asserts,
        proof=proof,
        direct=defaults.direct,
        by_edge=by_edge,
        own_users=partial(_own_users, context, flow),
        identifies_sessions=True,
        warning_agent=f"{host}" if ":" not in host else f"[{host}]",
        fips=given.fips,
        digits_by=context.config.media.dtmf,
        names=given.names,
        guards=defaults.guards.bounded(longest) if longest else defaults.guards,
        judge_referral=context.dial_gate.admit_referral,
        aor=_at_home(context, defaults.aor),
        call_music_source=call_music_source,
        speech_model=defaults.speech_model,
        voice_processing=defaults.voice_processing,
    )


def _policy_with(context: AccountContext, srtp: SrtpPolicy) -> SecurityPolicy:
    """Return the policy of a call with another demand on its media; an edge has a floor."""
    given, config = context.dependencies.policy, context.config
    if given is None:
        policy = config.security_policy(srtp=srtp, fips=context.dependencies.fips)
    else:
        policy = given.with_srtp(srtp)
    return config.with_edge_floor(policy)


def _nobody_vouches(_: Flow | None) -> bool:
    """Let no server vouch for far ends: what an edge passes on is said of the leg behind it."""
    return False


def _media_setup(
    context: AccountContext, policy: SecurityPolicy, flow: Flow, *, video: bool
) -> MediaSetup:
    """Make the setup of the media, at the local address of the call's signaling."""
    given, defaults, agreements = (
        context.dependencies,
        context.call_defaults,
        context.machine.agreements,
    )
    media = context.config.media
    return MediaSetup(
        backend=given.media,
        policy=policy,
        entropy=given.entropy,
        host=flow.local[0],
        codecs=media.codecs,
        comfort_noise=media.comfort_noise,
        cname=f"{given.entropy(6).hex()}@softphone",
        fallback=context.persona.takes_clear_answers(policy.srtp, agreements.supported_tags(flow)),
        opportunistic=media.opportunistic,
        dscp=defaults.dscp,
        media_security=context.config.mediasec,
        advertised=context.machine.endpoint.advertised_to(flow),
        ask_public=_stun_asker(context),
        video=_video_setup(context, offer=video) if media.video else None,
        clear_latching=defaults.adoptable_networks,
        reports=defaults.reports,
    )


def _stun_asker(context: AccountContext) -> AskPublic | None:
    """Return a function that asks the account's STUN server for public addresses, if it has one."""
    server = context.call_defaults.stun_server
    if server is None:
        return None

    async def ask(handle: StreamHandle) -> PublicAddresses:
        given = context.dependencies
        try:
            (host, *_) = await addresses_of(server[0], given.resolver.resolve)
        except TransportError as error:
            raise MediaError(f"the public media ports are not known: {error}") from error
        return await given.media.find_public_addresses(handle, (host, server[1]))

    return ask


def _video_setup(context: AccountContext, *, offer: bool) -> VideoSetup:
    """Make the video setup with the account's codecs, on ports of the audio's range."""
    given = context.dependencies
    config = getattr(given.media, "config", None)
    if not isinstance(config, MediaConfig):
        config = MediaConfig()
    backend = VideoBackend(config, entropy=given.entropy, tap=given.tap)
    return VideoSetup(backend, context.config.media.video, offer)


class _Addressing(TypedDict):
    """What an initial request to a URI has, whatever its method."""

    uri: SipUri
    local: NameAddr
    remote: NameAddr
    to: Flow
    route_set: tuple[NameAddr, ...]
    credentials: Authenticator | None
    failover: Failover | None


def _addressing(context: AccountContext, uri: SipUri, hop: FirstHop) -> _Addressing:
    """Address a request to `uri` by `hop`."""
    uri, own = _at_home(context, uri), _at_home(context, context.call_defaults.aor)
    return _Addressing(
        uri=uri,
        local=NameAddr(context.config.display_name, own, ()),
        remote=NameAddr(None, uri, ()),
        to=hop.flow,
        route_set=hop.route_set,
        credentials=context.credentials,
        failover=hop.failover,
    )


def make_invite_request(
    context: AccountContext,
    uri: SipUri,
    hop: FirstHop,
    body: Body | None = None,
    headers: HeaderFields = (),
    *,
    replaces: str | None = None,
) -> InviteRequest:
    """Make an INVITE to `uri` by `hop`."""
    return InviteRequest(
        **_addressing(context, uri, hop),
        contact=make_contact(context, hop.flow, secure=uri.secure),
        body=body,
        headers=headers,
        replaces=replaces,
    )


def make_message_request(
    context: AccountContext, uri: SipUri, hop: FirstHop, body: Body, headers: HeaderFields
) -> MessageRequest:
    """Make a MESSAGE to `uri` by `hop`."""
    return MessageRequest(**_addressing(context, uri, hop), body=body, headers=headers)


def make_subscribe_request(
    context: AccountContext, uri: SipUri, hop: FirstHop, event: str, accept: tuple[str, ...]
) -> SubscribeRequest:
    """Make a SUBSCRIBE for an event package of `uri` by `hop`; `accept` are media types."""
    return SubscribeRequest(
        **_addressing(context, uri, hop),
        contact=make_contact(context, hop.flow, secure=uri.secure),
        event=event,
        accept=accept,
    )


def _at_home(context: AccountContext, uri: SipUri) -> SipUri:
    """With a list of nodes, replace our own domain by the host of the node that has our binding."""
    registration = context.machine.registration
    home = registration.home if isinstance(registration, NodeRegistration) else None
    if home is None or uri.host.lower() != context.call_defaults.aor.host.lower():
        return uri
    return replace(uri, host=home.host)


def _own_users(context: AccountContext, flow: Flow) -> tuple[str | None, ...]:
    """Return the user parts that lead to a registered phone; () where any number may be ours."""
    if context.registration is None or context.config.watches_trunk:
        return ()
    contact = make_contact(context, flow)
    bound = None if contact is None else contact.uri
    own = context.config.aor_uri.user
    return (own, bound.user) if isinstance(bound, SipUri) else (own,)


def make_contact(context: AccountContext, flow: Flow, *, secure: bool = False) -> NameAddr | None:
    """Return the registered Contact, or without a binding that of the flow.

    `secure` says that the dialog is with a sips URI: its Contact is one, too (RFC 3261 section
    8.1.1.8).
    """
    registration = context.registration
    binding = None if registration is None else registration.binding
    if binding is None:
        aor = context.call_defaults.aor
        secure = secure or aor.secure
        return context.machine.endpoint.contact_for_flow(flow, aor.user, secure=secure)
    contact = binding.dialog_contact
    if secure and isinstance(contact.uri, SipUri):
        bound = replace(contact.uri.without_parameter("transport"), scheme="sips")
        return NameAddr(None, bound)
    return contact

"""Builds the setup of an account's calls: policy, persona, Contact, INVITE."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from softphone.account.context import AccountContext
from softphone.account.first_hop import FirstHop
from softphone.call import LegSetup, MediaSetup
from softphone.call.leg import RtcpXrDemand, VideoSetup
from softphone.media import MediaConfig, VideoBackend
from softphone.sans_io import Flow
from softphone.security import SecurityPolicy, SrtpPolicy
from softphone.sip import InviteRequest, NameAddr, SipUri
from softphone.sip.registration import NodeRegistration


def make_leg_setup(
    context: AccountContext,
    flow: Flow,
    srtp: SrtpPolicy | None = None,
    *,
    video: bool = False,
    inherited: SecurityPolicy | None = None,
) -> LegSetup:
    """Make the setup of a leg over `flow`; `srtp` overrides for this call, `video` offers video.

    `inherited` is the policy of the call that this one is derived from; it applies as well.
    Raises SecurityShortfall when nothing can meet both policies.
    """
    config, given, agreements = context.config, context.dependencies, context.machine.agreements
    # The phone's policy where it has one, else the configuration's.
    if given.policy is None:
        policy = config.security_policy(srtp=srtp, fips=given.fips)
    else:
        policy = given.policy if srtp is None else given.policy.with_srtp(srtp)
    if inherited is not None:
        policy = policy.stricter(inherited)
    host = flow.local[0]
    return LegSetup(
        endpoint=context.machine.endpoint,
        change=context.driver.change,
        call_later=asyncio.get_running_loop().call_later,
        handlers=context.handlers,
        media=MediaSetup(
            backend=given.media,
            policy=policy,
            entropy=given.entropy,
            host=host,
            codecs=config.media.codecs,
            comfort_noise=config.media.comfort_noise,
            cname=f"{given.entropy(6).hex()}@softphone",
            fallback=context.persona.takes_clear_answers(
                policy.srtp, agreements.supported_tags(flow)
            ),
            video=_video_setup(context, offer=video) if config.media.video else None,
            clear_latching=config.media.adoptable_networks,
            reports=RtcpXrDemand(config.media.reports, measured=config.quality is not None),
        ),
        persona=context.persona,
        vouched=agreements.vouches,
        direct=config.server_uri is None,
        warning_agent=f"{host}" if ":" not in host else f"[{host}]",
        fips=given.fips,
        digits_by=config.media.dtmf,
        names=given.names,
    )


def _video_setup(context: AccountContext, *, offer: bool) -> VideoSetup:
    """Make the video setup with the account's codecs, on ports of the audio's range."""
    given = context.dependencies
    config = getattr(given.media, "config", None)
    if not isinstance(config, MediaConfig):
        config = MediaConfig()
    backend = VideoBackend(config, entropy=given.entropy, tap=given.tap)
    return VideoSetup(backend, context.config.media.video, offer)


def make_invite_request(context: AccountContext, uri: SipUri, hop: FirstHop) -> InviteRequest:
    """Make an INVITE to `uri` by `hop`, without the parts that differ per call."""
    config = context.config
    uri = _at_home(context, uri)
    return InviteRequest(
        uri=uri,
        local=NameAddr(config.display_name, _at_home(context, config.aor_uri), ()),
        remote=NameAddr(None, uri, ()),
        to=hop.flow,
        contact=_contact(context, hop.flow),
        route_set=hop.route_set,
        failover=hop.failover,
        credentials=context.credentials,
    )


def _at_home(context: AccountContext, uri: SipUri) -> SipUri:
    """With a list of nodes, replace our own domain by the host of the node that has our binding."""
    registration = context.registration
    home = registration.home if isinstance(registration, NodeRegistration) else None
    if home is None or uri.host.lower() != context.config.aor_uri.host.lower():
        return uri
    return replace(uri, host=home.host)


def _contact(context: AccountContext, flow: Flow) -> NameAddr | None:
    """Return the registered Contact, without a binding that of the flow."""
    registration = context.registration
    if registration is not None and registration.binding is not None:
        binding = registration.binding
        bound = binding.contact.uri
        if binding.outbound and isinstance(bound, SipUri):
            # RFC 5626 section 4.3: the proxies keep the dialog on this flow.  A GRUU would need
            # each of them to look it up within dialogs, and not all that assign GRUUs do.
            return NameAddr(None, bound.with_parameter("ob"), ())
        return NameAddr(None, binding.public_gruu or bound, ())
    aor = context.config.aor_uri
    return context.machine.endpoint.contact_for_flow(flow, aor.user, secure=aor.scheme == "sips")

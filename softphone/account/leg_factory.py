"""What an account's calls are made with: policy, persona, Contact, INVITE."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from softphone.account.first_hop import FirstHop
from softphone.account.server_agreements import ServerAgreements
from softphone.account.signaling import SignalingMachine
from softphone.call import LegSetup, MediaSetup
from softphone.call.leg import NameLookup, RtcpXrDemand, VideoSetup, no_name_lookup
from softphone.config import AccountConfig
from softphone.media import MediaBackend, MediaConfig, VideoBackend
from softphone.personas import StandardPersona
from softphone.sans_io import Entropy, Flow, OpenDrain, Tap
from softphone.security import SecurityPolicy, SrtpPolicy
from softphone.sip import EventHandlers, InviteRequest, NameAddr, SipUri
from softphone.sip.auth import Authenticator

__all__ = ["LegFactory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegFactory:
    """Makes the setups of legs; `policy` takes the place of the configuration's."""

    config: AccountConfig
    machine: SignalingMachine
    persona: StandardPersona
    agreements: ServerAgreements
    media: MediaBackend
    entropy: Entropy
    change: OpenDrain
    handlers: EventHandlers
    credentials: Authenticator | None
    policy: SecurityPolicy | None
    fips: bool
    names: NameLookup = no_name_lookup
    tap: Tap | None = None

    def make_setup(
        self,
        flow: Flow,
        srtp: SrtpPolicy | None = None,
        *,
        video: bool = False,
        inherited: SecurityPolicy | None = None,
    ) -> LegSetup:
        """What a leg over `flow` needs; `srtp` overrides for one call, `video` offers it.

        `inherited` is demanded as well: that of the call which this one comes from.  Raises
        SecurityShortfall when both together can be met by nothing.
        """
        policy = self._policy(srtp)
        if inherited is not None:
            policy = policy.stricter(inherited)
        host = flow.local[0]
        fallback = self.persona.takes_clear_answers(
            policy.srtp, self.agreements.supported_tags(flow)
        )
        return LegSetup(
            endpoint=self.machine.endpoint,
            change=self.change,
            call_later=asyncio.get_running_loop().call_later,
            handlers=self.handlers,
            media=MediaSetup(
                backend=self.media,
                policy=policy,
                entropy=self.entropy,
                host=host,
                codecs=self.config.media.codecs,
                comfort_noise=self.config.media.comfort_noise,
                cname=f"{self.entropy(6).hex()}@softphone",
                fallback=fallback,
                video=self._video(offer=video),
                clear_latching=self.config.media.adoptable_networks,
                reports=RtcpXrDemand(
                    self.config.media.reports, measured=self.config.quality is not None
                ),
            ),
            persona=self.persona,
            vouched=self.agreements.vouches,
            direct=self.config.server_uri is None,
            warning_agent=f"{host}" if ":" not in host else f"[{host}]",
            fips=self.fips,
            digits_by=self.config.media.dtmf,
            names=self.names,
        )

    def _video(self, *, offer: bool) -> VideoSetup | None:
        """Video, where the account has codecs for it; its ports are of the audio's range."""
        codecs = self.config.media.video
        if not codecs:
            return None
        config = getattr(self.media, "config", None)
        if not isinstance(config, MediaConfig):
            config = MediaConfig()
        return VideoSetup(VideoBackend(config, entropy=self.entropy, tap=self.tap), codecs, offer)

    def _policy(self, srtp: SrtpPolicy | None) -> SecurityPolicy:
        """The phone's policy where it has one, else the configuration's."""
        if self.policy is None:
            return self.config.security_policy(srtp=srtp, fips=self.fips)
        return self.policy if srtp is None else self.policy.with_srtp(srtp)

    def make_invite_request(self, uri: SipUri, hop: FirstHop) -> InviteRequest:
        """An INVITE to `uri` by `hop`, without what one call adds to it."""
        uri = self._at_home(uri)
        return InviteRequest(
            uri=uri,
            local=NameAddr(self.config.display_name, self._at_home(self.config.aor_uri), ()),
            remote=NameAddr(None, uri, ()),
            to=hop.flow,
            contact=self._contact(hop.flow),
            route_set=hop.route_set,
            failover=hop.failover,
            credentials=self.credentials,
        )

    def _at_home(self, uri: SipUri) -> SipUri:
        """A user of our own domain is one of the server's that holds our binding, in a list."""
        home = self.agreements.home_server
        if home is None or uri.host.lower() != self.config.aor_uri.host.lower():
            return uri
        return replace(uri, host=home.host)

    def _contact(self, flow: Flow) -> NameAddr | None:
        """The registered Contact; a listener's own address in direct calls; else the flow's."""
        registration = self.machine.registration
        if registration is not None and registration.binding is not None:
            binding = registration.binding
            bound = binding.contact.uri
            if binding.outbound and isinstance(bound, SipUri):
                # RFC 5626 section 4.3: the proxies keep the dialog on this flow.  A GRUU would need
                # each of them to look it up within dialogs, and not all that give one out do.
                return NameAddr(None, bound.with_parameter("ob"), ())
            return NameAddr(None, binding.public_gruu or bound, ())
        secure = self.config.aor_uri.scheme == "sips"
        return self.machine.endpoint.contact_for_flow(flow, self.config.aor_uri.user, secure=secure)

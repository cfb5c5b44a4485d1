"""One media type of a call: its row in the media engine, and its keys.

`softphone.sdp` works out what offer and answer agree on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

from softphone.call.leg.rtcp_xr_demand import DEFAULT_XR_DEMAND, RtcpXrDemand
from softphone.call.leg.video_setup import video_spec
from softphone.events import Direction
from softphone.media import (
    AllocatedStream,
    MediaBackend,
    SrtpKey,
    StreamSpec,
    VideoBackend,
)
from softphone.sans_io import Address
from softphone.sdp import NegotiatedCodec, NegotiatedMedia
from softphone.security import MediaSecurity
from softphone.srtp import SdesAgreement, SdesNegotiation
from softphone_codecs import codec_name


class MediaStreamRow:
    """A row and its keys.  `spec` is what it was last opened with; None before that.

    `dscp` is the code point of what is sent.  `clear_latching` lists the networks from which media
    in clear may be adopted.  `only_host` is the only host that anything is sent to until
    `send_anywhere`; None: any.
    """

    def __init__(
        self,
        port: MediaBackend | VideoBackend,
        local: AllocatedStream,
        plan: SdesNegotiation,
        *,
        cname: str,
        reports: RtcpXrDemand = DEFAULT_XR_DEMAND,
        dscp: int = 0,
        clear_latching: tuple[str, ...] = (),
        only_host: str | None = None,
    ) -> None:
        self.local = local
        self.plan = plan
        self.spec: StreamSpec | None = None
        self.security: MediaSecurity | None = None
        self._backend = port
        self._cname = cname
        self._reports = reports
        self._dscp = dscp
        self._clear_latching = clear_latching
        self._only_host = only_host
        self._description: tuple[object, ...] = ()
        self._descriptions = 0
        self._codecs: tuple[NegotiatedCodec, ...] = ()
        self.closed = False
        self._silent = False

    def open_stream(
        self,
        media: NegotiatedMedia,
        agreement: SdesAgreement | None,
        security: MediaSecurity,
        *,
        generation: int,
        silent: bool = False,
        final: bool = True,
    ) -> None:
        """Open the row, or change it; with `silent` nothing flows, whatever was negotiated.

        `final` is False for an early answer; the final one then counts as a new description.
        Does nothing once the row is closed.
        """
        if self.closed:
            return
        description = (*media.remote_session, media.remote_address, final)
        self._descriptions += description != self._description
        self._description = description
        spec = self._spec(media, agreement, generation)
        if media.media == "video":
            spec = video_spec(spec, media)
        self._codecs = media.codecs
        self._silent = silent
        self.security = security
        self._reopen_stream(spec)

    def rebind(self, host: str) -> None:
        """Move the row to new ports at another address of ours.  Raises NoPortFree, MediaError."""
        self.local = self._backend.rebind_stream(self.local.handle, host)

    def _reopen_stream(self, spec: StreamSpec) -> None:
        if self._silent:
            spec = replace(spec, direction=Direction.INACTIVE)
        withheld = self._is_forbidden(spec.remote) or self._is_forbidden(spec.remote_rtcp)
        if withheld != spec.withheld:
            spec = replace(spec, withheld=withheld)
        self.spec = spec
        self._backend.open_stream(self.local.handle, spec)

    def _is_forbidden(self, address: Address | None) -> bool:
        if self._only_host is None or address is None:
            return False
        return ipaddress.ip_address(address[0]) != ipaddress.ip_address(self._only_host)

    def send_anywhere(self) -> None:
        """Send to wherever the far end asks from now on; what was withheld starts."""
        self._only_host = None
        if self.spec is not None and self.spec.withheld and not self.closed:
            self._reopen_stream(self.spec)

    def set_security_generation(self, generation: int) -> None:
        """Stamp a newer security generation on media delivered from now on."""
        if self.spec is not None and not self.closed:
            self._reopen_stream(replace(self.spec, security_generation=generation))

    def silence(self) -> None:
        """Stop media in both directions until the row is opened again."""
        self._silent = True
        if self.spec is not None and not self.closed:
            self.spec = replace(self.spec, direction=Direction.INACTIVE)
            self._backend.set_direction(self.local.handle, Direction.INACTIVE)

    def pause(self, paused: bool) -> None:
        """Stop media while the far end is offered another party's stream; False: as was agreed."""
        if self.spec is not None and not self.closed:
            direction = Direction.INACTIVE if paused else self.spec.direction
            self._backend.set_direction(self.local.handle, direction)

    def drop(self) -> None:
        """Silence a stream that was removed from the session (RFC 3264 section 8.2)."""
        self.silence()
        self.security = None

    def follow_payload_type(self, payload_type: int) -> None:
        """Switch to the negotiated codec that the far end now sends.

        An offerer must be ready for any codec of the answer (RFC 3264 section 6.1).
        """
        codec = next((c for c in self._codecs if c.receive_payload_type == payload_type), None)
        if codec is None or self.spec is None or self.closed:
            return
        others, names = _others(self._codecs, codec)
        changed = replace(
            self.spec,
            codec=codec_name(codec.name, codec.clock_rate),
            payload_type=codec.send_payload_type,
            receive_payload_type=codec.receive_payload_type,
            fmtp=codec.fmtp or "",
            other_payload_types=others,
            other_codecs=names,
        )
        self._reopen_stream(changed)

    def close(self) -> None:
        """Close the row, once."""
        if not self.closed:
            self.closed = True
            self._backend.close_stream(self.local.handle)

    def _spec(
        self, media: NegotiatedMedia, agreement: SdesAgreement | None, generation: int
    ) -> StreamSpec:
        event = media.telephone_event
        remote, remote_rtcp = self._remote(media)
        others, names = _others(media.codecs, media.codec)
        send = receive = None
        if agreement is not None:
            ours, theirs = agreement.local.key_params[0], agreement.remote.key_params[0]
            send = SrtpKey(agreement.suite, ours.key, ours.mki_octets)
            receive = SrtpKey(agreement.suite, theirs.key, theirs.mki_octets)
        return StreamSpec(
            remote=remote,
            codec=codec_name(media.codec.name, media.codec.clock_rate),
            payload_type=media.codec.send_payload_type,
            receive_payload_type=media.codec.receive_payload_type,
            fmtp=media.codec.fmtp or "",
            other_payload_types=others,
            other_codecs=names,
            comfort_noise=media.comfort_noise,
            telephone_event_rate=None if event is None else event.clock_rate,
            telephone_event=None if event is None else event.send_payload_type,
            receive_telephone_event=None if event is None else event.receive_payload_type,
            remote_rtcp=remote_rtcp,
            rtcp_mux=media.rtcp_mux,
            ptime_ms=media.ptime_ms,
            direction=media.direction,
            send_key=send,
            receive_key=receive,
            security_generation=generation,
            cname=self._cname,
            measured=self._reports.measured,
            extended_reports=self._reports.sent(media.extended_reports),
            clear_latching=() if agreement is not None else self._clear_latching,
            description=self._descriptions,
            dscp=self._dscp,
        )

    def _remote(self, media: NegotiatedMedia) -> tuple[Address, Address]:
        """Return the addresses that RTP and RTCP are sent to.

        An unspecified address means hold (RFC 3264 section 8.4): RTCP keeps the last address.  Of
        `a=rtcp` only the port counts: RTCP goes to no other host than RTP.
        """
        host, port = media.remote_address
        if self.spec is not None and ipaddress.ip_address(host).is_unspecified:
            spec = self.spec
            return spec.remote, spec.remote_rtcp or (spec.remote[0], min(spec.remote[1] + 1, 65535))
        return (host, port), (host, media.remote_rtcp[1])


def _others(
    codecs: Sequence[NegotiatedCodec], chosen: NegotiatedCodec
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The payload types and the names of the negotiated codecs beside the chosen one."""
    if len(codecs) == 1:
        return (), ()
    others = [each for each in codecs if each is not chosen]
    types = [each.receive_payload_type for each in others]
    return tuple(types), tuple([codec_name(each.name, each.clock_rate) for each in others])

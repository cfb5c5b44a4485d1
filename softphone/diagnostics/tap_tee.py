"""One tap that feeds several."""

from __future__ import annotations

from softphone.sans_io import Address, Flow, MediaTap, Tap


def combine_taps(*taps: Tap | None) -> Tap | None:
    """Combine taps into one; None when there is none.

    The result is a MediaTap only if one of the taps is, so that clear media costs nothing
    otherwise.
    """
    present = [tap for tap in taps if tap is not None]
    if len(present) < 2:
        return present[0] if present else None
    return (
        MediaTapTee(*present)
        if any(isinstance(tap, MediaTap) for tap in present)
        else TapTee(*present)
    )


class TapTee:
    """Passes everything on to each tap, in order."""

    def __init__(self, *taps: Tap) -> None:
        self.taps = taps

    def signaling(self, data: bytes, *, flow: Flow, outgoing: bool, now: float) -> None:
        """A SIP message, as sent or received, in clear."""
        for tap in self.taps:
            tap.signaling(data, flow=flow, outgoing=outgoing, now=now)

    def datagram(
        self, data: bytes, *, local: Address, remote: Address, outgoing: bool, now: float
    ) -> None:
        """A media datagram, as on the wire."""
        for tap in self.taps:
            tap.datagram(data, local=local, remote=remote, outgoing=outgoing, now=now)


class MediaTapTee(TapTee):
    """Also passes clear media on, to the taps that take it."""

    def packet(
        self, data: bytes, *, local: Address, remote: Address, outgoing: bool, now: float
    ) -> None:
        """An RTP or RTCP packet in clear."""
        for tap in self.taps:
            if isinstance(tap, MediaTap):
                tap.packet(data, local=local, remote=remote, outgoing=outgoing, now=now)

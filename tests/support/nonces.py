"""Records which key, SSRC and index each packet used; it has the keys."""

from __future__ import annotations

from softphone.media import SrtpKey
from softphone.srtp import SrtpStatus
from softphone.srtp.cryptography_backend import CryptographyTransform

MOST_ROLLOVERS = 4


class NonceRecorder:
    """`record_packet` finds the nonce of a packet and fails if it was used before.

    `keys` are all that may be sent with.  Every packet is authenticated with each of them anew,
    without a memory, so that nothing is taken on the word of the sender under test.
    """

    def __init__(self, keys: list[SrtpKey]) -> None:
        self._keys = keys
        self.used: dict[tuple[object, ...], bytes] = {}
        self.first: dict[tuple[int, int], int] = {}
        """The first sequence number of each key's number and SSRC."""
        self.clear = 0

    @property
    def packets(self) -> int:
        """How many were protected."""
        return len(self.used)

    def record_packet(self, packet: bytes, *, control: bool) -> int | None:
        """The number of the key that the packet is under; None for one in clear."""
        for number, key in enumerate(self._keys):
            nonce = _rtcp_nonce(key, packet) if control else _rtp_nonce(key, packet)
            if nonce is None:
                continue
            name = ("rtcp" if control else "rtp", number, *nonce)
            # The same octets once more (a retransmission) tell nobody anything.
            assert self.used.get(name, packet) == packet, f"{name} was used twice"
            self.used[name] = packet
            if not control:
                self.first.setdefault((number, nonce[0]), nonce[1] & 0xFFFF)
            return number
        self.clear += 1
        return None


def _rtp_nonce(key: SrtpKey, packet: bytes) -> tuple[int, int] | None:
    ssrc = int.from_bytes(packet[8:12], "big")
    for roc in range(MOST_ROLLOVERS):
        transform = CryptographyTransform(key.suite, key.key.reveal())
        transform.set_roc(ssrc, roc)
        if transform.unprotect(packet)[0] is SrtpStatus.OK:
            return ssrc, roc << 16 | int.from_bytes(packet[2:4], "big")
    return None


def _rtcp_nonce(key: SrtpKey, packet: bytes) -> tuple[int, int] | None:
    transform = CryptographyTransform(key.suite, key.key.reveal())
    if transform.unprotect_rtcp(packet)[0] is not SrtpStatus.OK:
        return None
    parameters = key.suite
    end = len(packet) - (0 if parameters.aead else parameters.rtcp_tag_length)
    index = int.from_bytes(packet[end - 4 : end], "big") & 0x7FFF_FFFF
    return int.from_bytes(packet[4:8], "big"), index

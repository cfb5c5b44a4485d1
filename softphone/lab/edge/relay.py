"""Relays one call's audio: SRTP towards the phone, RTP towards the registrar (RFC 3711, RFC 4568).

As the edge's B2BUA does, it ends the encryption: what comes from the phone is authenticated and
decrypted, what goes to it is encrypted under a key of its own.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from softphone.sans_io import Address, Entropy
from softphone.sdp import (
    Attribute,
    Connection,
    Crypto,
    MalformedDescription,
    MediaDescription,
    SessionDescription,
    read_crypto,
)
from softphone.security import DEFAULT_SUITES, CryptoSuite
from softphone.srtp import (
    ReceiveContext,
    SendContext,
    check_crypto_answer,
    choose_crypto,
    make_crypto_answer,
    make_crypto_offer,
)

logger = logging.getLogger("softphone.lab")

_SECURE, _CLEAR = "RTP/SAVP", "RTP/AVP"
_REPLACED = ("crypto", "rtcp", "rtcp-mux", "candidate", "ice-ufrag", "ice-pwd")
_LONGEST = 2048


class NotEncrypted(MalformedDescription):
    """The phone's description has no audio under SRTP that can be used."""

    _hint = "let the phone require SRTP"


class _Side:
    """The two sockets towards one side, and where that side takes its media."""

    def __init__(self, host: str, on_packet: Callable[[bytes, Address, bool], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self.remotes: list[Address | None] = [None, None]
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for control in (False, True):
            opened = socket.socket(family, socket.SOCK_DGRAM)
            opened.setblocking(False)
            opened.bind((host, 0))
            self._sockets.append(opened)
            self._loop.add_reader(opened, self._read, opened, control, on_packet)

    @property
    def ports(self) -> tuple[int, int]:
        """The ports of RTP and RTCP."""
        first, second = (each.getsockname()[1] for each in self._sockets)
        return first, second

    def _read(
        self,
        opened: socket.socket,
        control: bool,
        on_packet: Callable[[bytes, Address, bool], None],
    ) -> None:
        try:
            data, source = opened.recvfrom(_LONGEST)
        except OSError:
            return
        on_packet(data, (source[0], source[1]), control)

    def send(self, data: bytes | None, control: bool) -> None:
        """Send a packet to the side, if its address is known.

        None, for a packet that could not be protected, is dropped.
        """
        to = self.remotes[control]
        if data is None or to is None:
            return
        try:
            self._sockets[control].sendto(data, to)
        except OSError as error:
            logger.info("the edge's relay cannot send: %s", error)

    def close(self) -> None:
        """Close the sockets."""
        for each in self._sockets:
            self._loop.remove_reader(each)
            each.close()


@dataclass(slots=True)
class _Exchange:
    """One offer and its answer: the lines offered to the phone, or ours in answer to it."""

    offered: tuple[Crypto, ...] = ()
    answer: Crypto | None = None


@dataclass(slots=True)
class CallRelay:
    """The relay of one call; `counts` are the packets from the phone and to it.

    With `clear_answer` the phone is answered RTP, as an edge should never do.
    """

    host: str
    entropy: Entropy
    clear_answer: bool = False
    counts: list[int] = field(default_factory=lambda: [0, 0])
    refused: int = 0
    """Packets from the phone that were not under its key."""
    _phone: _Side = field(init=False)
    _inside: _Side = field(init=False)
    _exchanges: dict[object, _Exchange] = field(default_factory=dict)
    _send: SendContext | None = None
    _receive: ReceiveContext | None = None

    def __post_init__(self) -> None:
        self._phone = _Side(self.host, self._from_phone)
        self._inside = _Side(self.host, self._from_inside)

    # Descriptions

    def to_inside(self, data: bytes, exchange: object, *, answer: bool) -> bytes:
        """Rewrite the phone's description for the inside.  Raises NotEncrypted.

        `exchange` is the key of one offer and its answer (who offered, CSeq); `answer`: whether
        this is the answer.
        """
        description, audio = _audio(data)
        known = self._exchanges.setdefault(exchange, _Exchange())
        lines = read_crypto(audio)
        ours = known.answer
        if answer:
            choice = check_crypto_answer(known.offered, lines)
            tag = None if choice.crypto is None else choice.crypto.tag
            ours = next((each for each in known.offered if each.tag == tag), None)
        else:
            choice = choose_crypto(lines, allowed=DEFAULT_SUITES)
            if choice.crypto is not None and ours is None:
                ours = known.answer = make_crypto_answer(choice.crypto, entropy=self.entropy)
        theirs, suite = choice.crypto, choice.suite
        if theirs is None or suite is None or ours is None or audio.protocol != _SECURE:
            raise NotEncrypted("the phone's audio is not under SRTP")
        self._use_keys(suite, theirs, ours)
        self._phone.remotes = _remotes(description, audio)
        return self._rewritten(description, audio, _CLEAR, self._inside, ())

    def to_phone(self, data: bytes, exchange: object, *, answer: bool) -> bytes:
        """Rewrite an inside description for the phone.  Raises MalformedDescription."""
        description, audio = _audio(data)
        self._inside.remotes = _remotes(description, audio)
        known = self._exchanges.setdefault(exchange, _Exchange())
        if answer and self.clear_answer:
            return self._rewritten(description, audio, _CLEAR, self._phone, ())
        if not answer and not known.offered:
            known.offered = make_crypto_offer(DEFAULT_SUITES, entropy=self.entropy)
        ours = () if known.answer is None else (known.answer,)
        lines = ours if answer else known.offered
        return self._rewritten(description, audio, _SECURE, self._phone, lines)

    def _use_keys(self, suite: CryptoSuite, theirs: Crypto, ours: Crypto) -> None:
        self._close_keys()
        self._send = SendContext(suite, ours.key_params[0].key)
        self._receive = ReceiveContext(suite, theirs.key_params[0].key)

    def _rewritten(
        self,
        description: SessionDescription,
        audio: MediaDescription,
        protocol: str,
        side: _Side,
        lines: Sequence[Crypto],
    ) -> bytes:
        port, control = side.ports
        family = "IP6" if ":" in self.host else "IP4"
        kept = (each for each in audio.attributes if each.name not in _REPLACED)
        changed = replace(
            audio,
            port=port if audio.port else 0,
            protocol=protocol,
            connections=(Connection(self.host, family),),
            attributes=(
                *(Attribute("crypto", each.to_wire()) for each in lines),
                Attribute("rtcp", str(control)),
                *kept,
            ),
        )
        media = [changed if each is audio else replace(each, port=0) for each in description.media]
        return replace(description, media=tuple(media), connection=None).encode()

    # Packets

    def _from_phone(self, data: bytes, source: Address, control: bool) -> None:
        if self._receive is None:
            return
        opened = self._receive.unprotect_rtcp(data) if control else self._receive.unprotect(data)
        if opened is None:
            self.refused += 1
            return
        # Symmetric RTP: the phone may be behind a NAT.
        self._phone.remotes[control] = source
        self.counts[0] += not control
        self._inside.send(opened, control)

    def _from_inside(self, data: bytes, _: Address, control: bool) -> None:
        if self._send is None:
            return
        sealed = self._send.protect_rtcp(data) if control else self._send.protect(data)
        self.counts[1] += sealed is not None and not control
        self._phone.send(sealed, control)

    def _close_keys(self) -> None:
        for each in (self._send, self._receive):
            if each is not None:
                each.close()
        self._send = self._receive = None

    def close(self) -> None:
        """End the relay."""
        self._close_keys()
        self._phone.close()
        self._inside.close()


def _audio(data: bytes) -> tuple[SessionDescription, MediaDescription]:
    """Return a description and its first audio.  Raises MalformedDescription."""
    description = SessionDescription.parse(data)
    audio = next((each for each in description.media if each.media == "audio"), None)
    if audio is None:
        raise MalformedDescription("there is no audio in the description")
    return description, audio


def _remotes(description: SessionDescription, audio: MediaDescription) -> list[Address | None]:
    """Return where a side takes RTP and RTCP."""
    connection = description.connection_of(audio)
    if connection is None or not audio.port:
        return [None, None]
    stated = next(audio.attribute_values("rtcp"), "").partition(" ")[0]
    control = (
        int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 6 else audio.port + 1
    )
    if audio.has_attribute("rtcp-mux"):
        control = audio.port
    return [(connection.address, audio.port), (connection.address, control)]

"""Encodes and decodes the messages between the application's process and a media worker.

A message is a kind with fields (JSON), followed by keys.  Keys are in no other part of the frame;
its sender and its reader wipe the frame after use.  Decoding cannot run code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from softphone.events import Direction
from softphone.media.interface import (
    DigitDetected,
    FirstPacketReceived,
    LatchCause,
    MediaConfig,
    MediaEvent,
    MediaFailed,
    PayloadTypeChanged,
    PlaybackEnded,
    PortRange,
    RemoteLatched,
    RtcpByeReceived,
    SocketSharing,
    SrtpKey,
    SsrcChanged,
    StreamHandle,
    StreamSpec,
    StreamTimedOut,
)
from softphone.sans_io import Address
from softphone.security import CryptoSuite, KeyMaterial

LONGEST: Final = 65_536
"""Octets of the longest frame."""

LENGTHS: Final = struct.Struct("=IHH")

EVENTS: Final[dict[str, type[MediaEvent]]] = {
    kind.__name__: kind
    for kind in (
        FirstPacketReceived,
        RemoteLatched,
        SsrcChanged,
        PayloadTypeChanged,
        DigitDetected,
        PlaybackEnded,
        StreamTimedOut,
        RtcpByeReceived,
        MediaFailed,
    )
}

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MediaWorkerMessage:
    """One message; `send_key` and `receive_key` are None unless it carries keys."""

    kind: str
    fields: Fields
    send_key: SrtpKey | None = None
    receive_key: SrtpKey | None = None


def encode_message(message: MediaWorkerMessage) -> bytearray:
    """Encode a message as a frame, which the caller wipes once it is sent.

    Raises ValueError for a frame longer than LONGEST.
    """
    keys = (message.send_key, message.receive_key)
    names = [None if key is None else (key.suite.value, key.mki.hex()) for key in keys]
    body = json.dumps([message.kind, message.fields, names]).encode()
    sizes = [0 if key is None else len(key.key) for key in keys]
    frame = bytearray(LENGTHS.pack(len(body), *sizes))
    frame += body
    for key in keys:
        if key is not None:
            frame += key.key.reveal()
    if len(frame) > LONGEST:
        raise ValueError(f"a message of {len(frame)} octets to the media worker is too long")
    return frame


def decode_message(frame: bytearray | memoryview) -> MediaWorkerMessage:
    """Decode a frame; the keys are copies.  Raises ValueError for an invalid frame."""
    if len(frame) < LENGTHS.size:
        raise ValueError("a frame without its lengths")
    length, *sizes = LENGTHS.unpack_from(frame)
    at = LENGTHS.size + length
    if at + sum(sizes) != len(frame):
        raise ValueError("a frame whose lengths do not add up")
    try:
        kind, content, names = json.loads(bytes(frame[LENGTHS.size : at]))
        forms = [
            None if name is None else (CryptoSuite(name[0]), bytes.fromhex(name[1]))
            for name in names
        ]
    except (TypeError, ValueError) as error:
        raise ValueError("a frame that holds no message") from error
    keys: list[SrtpKey | None] = []
    for size, form in zip(sizes, forms, strict=True):
        material = bytearray(frame[at : at + size])
        if form is None:
            keys.append(None)
        else:
            keys.append(SrtpKey(form[0], KeyMaterial(material), form[1]))
        material[:] = bytes(size)
        at += size
    return MediaWorkerMessage(kind, content, *keys)


# Fields -----------------------------------------------------------------------------------------


def read_handle(value: Any) -> StreamHandle:
    """A handle, from its row and its generation."""
    row, generation = value
    return StreamHandle(int(row), int(generation))


def read_address(value: Any) -> Address:
    """An address, from its host and its port."""
    host, port = value
    return host, port


def spec_fields(spec: StreamSpec) -> Fields:
    """A stream's specification without its keys."""
    names = [each.name for each in fields(spec) if not each.name.endswith("_key")]
    return {name: getattr(spec, name) for name in names}


def read_spec(message: MediaWorkerMessage) -> StreamSpec:
    """The specification in a message, with its keys."""
    given: Fields = dict(message.fields["spec"])
    for name in ("remote", "remote_rtcp"):
        given[name] = None if given[name] is None else read_address(given[name])
    for name in ("other_payload_types", "other_codecs", "extended_reports", "clear_latching"):
        given[name] = tuple(given[name])
    given["direction"] = Direction(given["direction"])
    return StreamSpec(**given, send_key=message.send_key, receive_key=message.receive_key)


def config_fields(config: MediaConfig) -> Fields:
    """Return the fields of a media configuration."""
    given = {each.name: getattr(config, each.name) for each in fields(config)}
    return given | {"ports": [config.ports.first, config.ports.last]}


def read_config(given: Mapping[str, Any]) -> MediaConfig:
    """Read a media configuration back; the placement is that of the worker's own engine."""
    ports, sharing = PortRange(*given["ports"]), SocketSharing(given["sharing"])
    config = MediaConfig(**(dict(given) | {"ports": ports, "sharing": sharing}))
    return replace(config, placement="inline", workers=1)


def event_fields(event: MediaEvent) -> Fields:
    """Return the fields of an event, with the name of its class."""
    found: Fields = {each.name: getattr(event, each.name) for each in fields(event)}
    found["handle"] = [event.handle.row, event.handle.generation]
    return found | {"event": type(event).__name__}


def read_event(given: Mapping[str, Any], handle: StreamHandle) -> MediaEvent:
    """Read an event of the stream `handle`.  Raises KeyError and TypeError."""
    content = {name: value for name, value in given.items() if name not in ("event", "handle")}
    for name in ("source", "remote"):
        if name in content:
            content[name] = read_address(content[name])
    if "cause" in content:
        content["cause"] = LatchCause(content["cause"])
    return EVENTS[given["event"]](handle=handle, **content)

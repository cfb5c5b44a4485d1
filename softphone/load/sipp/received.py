"""A received message as a scenario sees it: its text, and the header fields that it names."""

from __future__ import annotations

from dataclasses import dataclass

from softphone.errors import LocalProtocolError
from softphone.load.sipp.template import decode_text
from softphone.sans_io import Flow
from softphone.sip.message import Request, Response
from softphone.sip.message.headers import field_key


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that our parser has taken, with its octets and the flow that it came by.

    `octets` are those of the datagram; of a message of a stream they are written again from what
    was parsed, with the names of fields in full.
    """

    message: Request | Response
    octets: bytes
    flow: Flow

    @classmethod
    def of_stream(cls, message: Request | Response, flow: Flow) -> ReceivedMessage | None:
        """Make one of a message that came by a stream; None when it cannot be written again."""
        try:
            return cls(message, message.encode(), flow)
        except LocalProtocolError:
            return None

    @property
    def text(self) -> str:
        """The whole message."""
        return decode_text(self.octets)

    @property
    def body(self) -> str:
        """The body."""
        return decode_text(self.message.body)

    def values(self, name: str) -> list[str]:
        """The values of a header field, in order, as they came."""
        return list(self.message.headers.get_all(name))

    def texts(self, name: str) -> list[str]:
        """What is behind the name of a header field in each line that has it, as it came."""
        key = field_key(name)
        cut = (line.partition(":") for line in self.text.partition("\r\n\r\n")[0].split("\r\n"))
        return [
            colon + text for begin, colon, text in cut if colon and field_key(begin.strip()) == key
        ]

    def header_line(self, name: str) -> str:
        """The field as one line with its name, its values joined by commas; "" without one."""
        values = self.values(name)
        return f"{field_name(self, name)}: {', '.join(values)}" if values else ""


def field_name(received: ReceivedMessage, name: str) -> str:
    """The name of a field as the message spells it, after parsing."""
    key = field_key(name)
    return next((each for each, _ in received.message.headers if field_key(each) == key), name)


def is_same_peer(flow: Flow, other: Flow) -> bool:
    """Whether two flows are to one host, over one transport, and of one certificate."""
    return (flow.transport, flow.remote[0], flow.identity) == (
        other.transport,
        other.remote[0],
        other.identity,
    )

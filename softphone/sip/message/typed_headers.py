"""Typed header field values: frozen dataclasses with `parse` and `str`.

RFC 3261 section 20 and, where named, its extensions.  `parse` raises MalformedMessage.  Challenges
and credentials (sections 20.7 and 20.44; RFC 7616 Digest, RFC 8898 Bearer) are plain values;
`softphone.sip.auth` computes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Self

from softphone.fast_dataclass import fast_init
from softphone.sip.message.grammar import (
    HOST,
    PARAMETERS,
    QUOTED_STRING,
    TOKEN,
    MalformedMessage,
    Parameters,
    digits,
    drop_parameter,
    find_parameter,
    format_parameters,
    is_token,
    parse_parameters,
    quote,
    set_parameter,
    split_commas,
    unquote,
)
from softphone.sip.message.parameters import Parameterized
from softphone.sip.message.uri import format_host, parse_host

SEQUENCE_LIMIT = 2**31 - 1
"""The largest CSeq number and RSeq that may be used (RFC 3261 section 8.1.1.5)."""

DELTA_LIMIT = 2**32 - 1
"""The largest delta-seconds (RFC 3261 section 20.19)."""

# via-parm = sent-protocol LWS sent-by *( SEMI via-params ); sent-by = host [ COLON port ]
_VIA = re.compile(
    rf"[ \t]*+(?P<name>{TOKEN})[ \t]*+/[ \t]*+(?P<version>{TOKEN})[ \t]*+/[ \t]*+"
    rf"(?P<transport>{TOKEN})[ \t]++(?P<host>{HOST})(?:[ \t]*+:[ \t]*+(?P<port>[0-9]{{1,5}}+))?"
    rf"(?P<parameters>{PARAMETERS})"
)
_CSEQ = re.compile(rf"([0-9]{{1,64}}+)[ \t]++({TOKEN})")
_RACK = re.compile(rf"([0-9]{{1,64}}+)[ \t]++([0-9]{{1,64}}+)[ \t]++({TOKEN})")
_VALUE_AND_PARAMETERS = re.compile(rf"([^;\s]++)({PARAMETERS})")
_MEDIA_TYPE = re.compile(rf"({TOKEN})[ \t]*+/[ \t]*+({TOKEN})({PARAMETERS})")
_RETRY_AFTER = re.compile(rf"([0-9]++)[ \t]*+(\((?:[^()\\]++|\\.)*+\))?({PARAMETERS})")
# warning-value = warn-code SP warn-agent SP warn-text
_WARNING = re.compile(rf"([0-9]{{3}})[ \t]++([^\s\",]++)[ \t]++({QUOTED_STRING})")
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ([0-9]{4}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@fast_init
@dataclass(frozen=True, slots=True)
class Via(Parameterized):
    """One Via value (RFC 3261 section 20.42; RFC 3581).

    `transport` is as written ("UDP", "TLS" or any other); `host` has no IPv6 brackets.
    """

    transport: str
    host: str
    port: int | None = None
    parameters: Parameters = ()

    KIND: ClassVar[str] = "Via"

    @classmethod
    def parse_at(cls, text: str, position: int) -> tuple[Self, int]:
        """Parse the value at `position`; returns it and its end.  Raises MalformedMessage."""
        match = _VIA.match(text, position)
        if match is None:
            raise MalformedMessage("Malformed Via")
        name, version, transport, host, port, parameters = match.groups()
        if version != "2.0" or name.upper() != "SIP":
            raise MalformedMessage("Unknown protocol in Via")
        number = None if port is None else digits(port, 65535)
        if port is not None and not number:
            raise MalformedMessage("Port out of range in Via")
        return cls(transport, parse_host(host), number, parse_parameters(parameters)), match.end()

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        parameters = format_parameters(self.parameters)
        return f"SIP/2.0/{self.transport} {format_host(self.host)}{port}{parameters}"

    def _with(self, parameters: Parameters) -> Self:
        return type(self)(self.transport, self.host, self.port, parameters)

    @property
    def branch(self) -> str | None:
        """The branch parameter, or None."""
        return find_parameter(self.parameters, "branch")

    @property
    def received(self) -> str | None:
        """The received address without brackets, or None (RFC 5118 section 4.5: both occur)."""
        value = self.parameter("received")
        return value.strip("[]") if value else None

    @property
    def rport(self) -> int | None:
        """The port of a filled-in rport (RFC 3581), else None."""
        value = self.parameter("rport")
        return digits(value, 65535) if value else None


@fast_init
@dataclass(frozen=True, slots=True)
class CSeq:
    """A CSeq value (RFC 3261 section 20.16): number below 2^31, and method."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value; the number may have leading zeros."""
        match = _CSEQ.fullmatch(text)
        number = digits(match[1], SEQUENCE_LIMIT) if match else None
        if match is None or number is None:
            raise MalformedMessage("Malformed CSeq")
        return cls(number, match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@dataclass(frozen=True, slots=True)
class RAck:
    """An RAck value (RFC 3262 section 7.2): RSeq below 2^32, CSeq number below 2^31, method."""

    rseq: int
    cseq: int
    method: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value."""
        match = _RACK.fullmatch(text)
        if match is None:
            raise MalformedMessage("Malformed RAck")
        rseq = digits(match[1], DELTA_LIMIT)
        cseq = digits(match[2], SEQUENCE_LIMIT)
        if rseq is None or cseq is None:
            raise MalformedMessage("Malformed RAck")
        return cls(rseq, cseq, match[3])

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


@dataclass(frozen=True, slots=True)
class WarningValue:
    """A Warning value (RFC 3261 section 20.43): three-digit code, agent, plain text."""

    code: int
    agent: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value."""
        match = _WARNING.fullmatch(text)
        if match is None:
            raise MalformedMessage("Malformed Warning")
        return cls(int(match[1]), match[2], unquote(match[3]))

    def __str__(self) -> str:
        return f"{self.code:03d} {self.agent} {quote(self.text)}"


@dataclass(frozen=True, slots=True)
class Reason:
    """A Reason value (RFC 3326): protocol ("SIP", "Q.850"), cause, plain text."""

    protocol: str
    cause: int | None = None
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value; unknown parameters are dropped, a malformed cause is None."""
        protocol, parameters = _split_parameters(text, "Reason")
        if not is_token(protocol):
            raise MalformedMessage("Malformed Reason")
        cause = find_parameter(parameters, "cause")
        number = None if cause is None else digits(cause, DELTA_LIMIT)
        return cls(protocol, number, find_parameter(parameters, "text") or "")

    def __str__(self) -> str:
        cause = "" if self.cause is None else f";cause={self.cause}"
        text = f";text={quote(self.text)}" if self.text else ""
        return f"{self.protocol}{cause}{text}"


@dataclass(frozen=True, slots=True)
class Replaces:
    """A Replaces value (RFC 3891 section 6.1)."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value; both tags are required."""
        call_id, parameters = _split_parameters(text, "Replaces")
        to_tag = find_parameter(parameters, "to-tag")
        from_tag = find_parameter(parameters, "from-tag")
        if not to_tag or not from_tag:
            raise MalformedMessage("Replaces without to-tag and from-tag")
        early_only = find_parameter(parameters, "early-only") is not None
        return cls(call_id, to_tag, from_tag, early_only)

    def __str__(self) -> str:
        early_only = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early_only}"


@fast_init
@dataclass(frozen=True, slots=True)
class SessionExpires:
    """A Session-Expires value (RFC 4028 section 4): seconds, and "uac", "uas" or None."""

    delta: int
    refresher: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value; unknown parameters are dropped, an unknown refresher is malformed."""
        value, parameters = _split_parameters(text, "Session-Expires")
        delta = parse_delta_seconds(value)
        refresher = find_parameter(parameters, "refresher")
        if refresher is not None:
            refresher = refresher.lower()
            if refresher not in ("uac", "uas"):
                raise MalformedMessage("Unknown refresher in Session-Expires")
        return cls(delta, refresher)

    def __str__(self) -> str:
        return (
            f"{self.delta}"
            if self.refresher is None
            else f"{self.delta};refresher={self.refresher}"
        )


@dataclass(frozen=True, slots=True)
class SubscriptionStateValue:
    """A Subscription-State value (RFC 6665 section 8.2.3).

    `expires` and `retry_after` are in seconds.
    """

    state: str
    reason: str | None = None
    expires: int | None = None
    retry_after: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value, with `state` in lower case; unknown parameters are dropped."""
        state, parameters = _split_parameters(text, "Subscription-State")
        if not is_token(state):
            raise MalformedMessage("Malformed Subscription-State")
        expires = find_parameter(parameters, "expires")
        retry_after = find_parameter(parameters, "retry-after")
        return cls(
            state.lower(),
            find_parameter(parameters, "reason"),
            None if expires is None else parse_delta_seconds(expires),
            None if retry_after is None else parse_delta_seconds(retry_after),
        )

    def __str__(self) -> str:
        text = self.state
        if self.reason is not None:
            text += f";reason={self.reason}"
        if self.expires is not None:
            text += f";expires={self.expires}"
        if self.retry_after is not None:
            text += f";retry-after={self.retry_after}"
        return text


@dataclass(frozen=True, slots=True)
class EventValue:
    """An Event value (RFC 6665 section 8.2.1): package, id, and the other parameters."""

    package: str
    id: str | None = None
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value."""
        package, parameters = _split_parameters(text, "Event")
        if not is_token(package):
            raise MalformedMessage("Malformed Event")
        return cls(package, find_parameter(parameters, "id"), drop_parameter(parameters, "id"))

    def __str__(self) -> str:
        identity = "" if self.id is None else format_parameters(set_parameter((), "id", self.id))
        return f"{self.package}{identity}{format_parameters(self.parameters)}"


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """A Retry-After value (RFC 3261 section 20.33): delay and duration parameter, in seconds."""

    delta: int
    duration: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value; a comment and other parameters are dropped."""
        match = _RETRY_AFTER.fullmatch(text)
        if match is None:
            raise MalformedMessage("Malformed Retry-After")
        duration = find_parameter(parse_parameters(match[3]), "duration")
        return cls(
            parse_delta_seconds(match[1]),
            None if duration is None else parse_delta_seconds(duration),
        )

    def __str__(self) -> str:
        return (
            f"{self.delta}" if self.duration is None else f"{self.delta};duration={self.duration}"
        )


@fast_init
@dataclass(frozen=True, slots=True)
class ContentType:
    """A Content-Type value (RFC 3261 section 20.15); type and subtype in lower case."""

    type: str
    subtype: str
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value."""
        match = _MEDIA_TYPE.fullmatch(text)
        if match is None:
            raise MalformedMessage("Malformed Content-Type")
        return cls(match[1].lower(), match[2].lower(), parse_parameters(match[3]))

    def __str__(self) -> str:
        return f"{self.essence}{format_parameters(self.parameters)}"

    @property
    def essence(self) -> str:
        """The type and subtype only, such as "application/sdp"."""
        return f"{self.type}/{self.subtype}"

    def parameter(self, name: str) -> str | None:
        """Return the unquoted value of a parameter, "" without a value, None when absent."""
        return find_parameter(self.parameters, name.lower())


def _split_parameters(text: str, header: str) -> tuple[str, Parameters]:
    match = _VALUE_AND_PARAMETERS.fullmatch(text)
    if match is None:
        raise MalformedMessage(f"Malformed {header}")
    return match[1], parse_parameters(match[2])


def parse_delta_seconds(text: str) -> int:
    """Parse delta-seconds; greater values count as 2^32-1 (RFC 3261 section 20.19).

    Raises MalformedMessage.
    """
    if not (text.isascii() and text.isdigit()):
        raise MalformedMessage("Malformed number of seconds")
    value = digits(text, DELTA_LIMIT)
    return DELTA_LIMIT if value is None else value


def parse_seconds(text: str) -> int:
    """Parse delta-seconds and drop parameters.  Raises MalformedMessage."""
    return parse_delta_seconds(text.partition(";")[0].rstrip(" \t"))


def parse_call_id(text: str) -> str:
    """Check a Call-ID and return it (RFC 3261 section 20.8).  Raises MalformedMessage.

    Lenient: any visible ASCII, since base64 identifiers occur and the value is only compared.
    """
    if not text or " " in text or "\t" in text or not text.isascii():
        raise MalformedMessage("Malformed Call-ID header field")
    return text


def parse_max_forwards(text: str) -> int:
    """Parse a Max-Forwards value, 0 to 255 (RFC 3261 section 20.22).  Raises MalformedMessage."""
    number = digits(text, 255)
    if number is None:
        raise MalformedMessage("Malformed Max-Forwards header field")
    return number


def parse_rseq(text: str) -> int:
    """Parse a response-num, 1 to 2^32-1 (RFC 3262 section 7.1).  Raises MalformedMessage."""
    number = digits(text, DELTA_LIMIT)
    if not number:
        raise MalformedMessage("Malformed RSeq header field")
    return number


def parse_token(text: str) -> str:
    """Check a token and return it (RFC 3261 section 25.1).  Raises MalformedMessage."""
    if not is_token(text):
        raise MalformedMessage("Malformed token")
    return text


def parse_media_range(text: str) -> str:
    """Parse an Accept value; returns its media-range in lower case.  Raises MalformedMessage."""
    return ContentType.parse(text).essence


def parse_date(text: str) -> datetime:
    """Parse a SIP-date, always GMT (RFC 3261 section 20.17).  Raises MalformedMessage."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise MalformedMessage("Malformed Date")
    day, month, year, hour, minute, second = match.groups()
    try:
        return datetime(
            int(year),
            _MONTHS.index(month) + 1,
            int(day),
            int(hour),
            int(minute),
            int(second),
            tzinfo=UTC,
        )
    except ValueError as error:
        raise MalformedMessage("Malformed Date") from error


_AUTH_PARAMETER = re.compile(rf"({TOKEN})[ \t]*+=[ \t]*+({QUOTED_STRING}|[^\s\",]++)")
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]++=*+")
# Parameters of challenges and credentials that are written unquoted; qop is in credentials only
# (RFC 7616 sections 3.3 and 3.4).
_UNQUOTED = frozenset({"algorithm", "stale", "nc", "userhash", "charset", "username*"})


@dataclass(frozen=True, slots=True)
class AuthValue:
    """A challenge or credentials (RFC 3261 sections 20.7, 20.44; RFC 7616; RFC 8898 for Bearer).

    `parameters` are pairs of name and unquoted value; `token68` replaces them for Bearer.  The repr
    shows neither values nor token.
    """

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()
    token68: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one challenge or credentials.  Raises MalformedMessage, also without a scheme."""
        scheme, _, rest = text.strip(" \t").partition(" ")
        rest = rest.strip(" \t")
        if not is_token(scheme):
            raise MalformedMessage("Malformed authentication scheme")
        if _TOKEN68.fullmatch(rest):
            return cls(scheme, (), rest)
        return cls(scheme, _parse_auth_parameters(rest) if rest else ())

    @classmethod
    def parse_info(cls, text: str) -> Self:
        """Parse an Authentication-Info value (RFC 7616 section 3.5): `scheme` is empty."""
        return cls("", _parse_auth_parameters(text))

    def __str__(self) -> str:
        if self.token68:
            return f"{self.scheme} {self.token68}"
        credentials = self.parameter("response") is not None or not self.scheme
        written = ", ".join(
            f"{name}={value}"
            if is_token(value)
            and (name.lower() in _UNQUOTED or (name.lower() == "qop" and credentials))
            else f"{name}={quote(value)}"
            for name, value in self.parameters
        )
        return f"{self.scheme} {written}".strip()

    def __repr__(self) -> str:
        return f"AuthValue({self.scheme!r}, {', '.join(name for name, _ in self.parameters)})"

    def parameter(self, name: str) -> str | None:
        """Return the value of a parameter, or None."""
        lowered = name.lower()
        for key, value in self.parameters:
            if key.lower() == lowered:
                return value
        return None


def _parse_auth_parameters(text: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, tuple[str, str]] = {}
    for item in split_commas(text):
        # RFC 7235 section 7 allows empty elements; they occur at the end of challenges.
        if not item:
            continue
        match = _AUTH_PARAMETER.fullmatch(item)
        if match is None:
            raise MalformedMessage("Malformed authentication parameter")
        if match[1].lower() in found:
            raise MalformedMessage("Authentication parameter given twice")
        found[match[1].lower()] = (match[1], unquote(match[2]))
    return tuple(found.values())

"""Values of header fields that some messages have: frozen dataclasses with `parse` and `str`.

RFC 3261 section 20 and, where named, its extensions.  `parse` raises MalformedMessage.  The values
that every message has are in `softphone.sip.message.headers`.  Challenges
and credentials (sections 20.7 and 20.44; RFC 7616 Digest, RFC 8898 Bearer) are plain values;
`softphone.sip.auth` computes them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from softphone.fast_dataclass import fast_init
from softphone.sip.message.grammar import (
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

SEQUENCE_LIMIT = 2**31 - 1
"""The largest CSeq number and RSeq that may be used (RFC 3261 section 8.1.1.5)."""

DELTA_LIMIT = 2**32 - 1
"""The largest delta-seconds (RFC 3261 section 20.19)."""

_RACK = re.compile(rf"([0-9]{{1,64}}+)[ \t]++([0-9]{{1,64}}+)[ \t]++({TOKEN})")
_VALUE_AND_PARAMETERS = re.compile(rf"([^;\s]++)({PARAMETERS})")
_RETRY_AFTER = re.compile(rf"([0-9]++)[ \t]*+(\((?:[^()\\]++|\\.)*+\))?({PARAMETERS})")
# warning-value = warn-code SP warn-agent SP warn-text
_WARNING = re.compile(rf"([0-9]{{3}})[ \t]++([^\s\",]++)[ \t]++({QUOTED_STRING})")
# uui-value = ( token / quoted-string ) *( SEMI uui-param )
_UUI = re.compile(rf"({QUOTED_STRING}|[^;\s\",]++)({PARAMETERS})")
_SESSION_UUID = re.compile(r"[0-9A-Fa-f]{32}")
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ([0-9]{4}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


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


_CAUSES = {"SIP": range(100, 700), "Q.850": range(1, 128)}
"""The causes that there are, by protocol."""


@dataclass(frozen=True, slots=True)
class EndReason:
    """The end of a call as the Reason values of a message state it; 0 and "" if not stated.

    `status` is a SIP status, `q850_cause` a cause of ITU-T Q.850 (RFC 3326 section 2, RFC 6432).  A
    number that is neither is none: they are counted, and a far end must not make up new ones.
    """

    status: int = 0
    q850_cause: int = 0
    text: str = ""

    @classmethod
    def of(cls, reasons: Sequence[Reason]) -> Self:
        """Combine the values: the first cause of each protocol, and the first text."""
        if not reasons:
            return cls()
        causes: dict[str, int] = {}
        for each in reasons:
            protocol, cause = each.protocol.upper(), each.cause or 0
            causes.setdefault(protocol, cause if cause in _CAUSES.get(protocol, ()) else 0)
        text = next((each.text for each in reasons if each.text), "")
        return cls(causes.get("SIP", 0), causes.get("Q.850", 0), text)


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


@dataclass(frozen=True, slots=True)
class UserToUser:
    """A User-to-User value (RFC 7433 section 4.1): data of the application, opaque to SIP.

    `data` is as sent, without quotes; `octets` decodes it.  `purpose` names the package ("isdn-uui"
    where absent), `content` what the data is, `encoding` how it is written ("hex" where absent).
    """

    data: str
    purpose: str | None = None
    content: str | None = None
    encoding: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value; unknown parameters are dropped.

        :meta private:
        """
        match = _UUI.fullmatch(text)
        if match is None:
            raise MalformedMessage("Malformed User-to-User")
        found = parse_parameters(match[2])
        named = [find_parameter(found, name) for name in ("purpose", "content", "encoding")]
        return cls(unquote(match[1]), *named)

    @classmethod
    def from_octets(
        cls, octets: bytes, *, purpose: str | None = None, content: str | None = None
    ) -> Self:
        """Make a value of `octets`, in hex."""
        return cls(octets.hex(), purpose, content, "hex")

    @property
    def octets(self) -> bytes:
        """The data, decoded; what is not hex after all is its own octets."""
        if (self.encoding or "hex").lower() == "hex":
            try:
                return bytes.fromhex(self.data)
            except ValueError:
                pass
        return self.data.encode()

    def __str__(self) -> str:
        written: Parameters = ()
        for name in ("encoding", "purpose", "content"):
            value = getattr(self, name)
            if value is not None:
                written = set_parameter(written, name, value)
        data = self.data if is_token(self.data) else quote(self.data)
        return f"{data}{format_parameters(written)}"


NIL_UUID = "0" * 32
"""The UUID of an end that is not known yet (RFC 7989 section 5)."""


@dataclass(frozen=True, slots=True)
class SessionId:
    """A Session-ID value (RFC 7989 section 5): the sender's UUID, and the one that it knows.

    Each is 32 hex digits in lower case; `remote` is `NIL_UUID` before the sender has heard one.
    """

    local: str
    remote: str = NIL_UUID

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one value; without `remote` it is that of an older sender (section 11).

        :meta private:
        """
        local, parameters = _split_parameters(text, "Session-ID")
        remote = find_parameter(parameters, "remote") or NIL_UUID
        if not _SESSION_UUID.fullmatch(local) or not _SESSION_UUID.fullmatch(remote):
            raise MalformedMessage("Malformed Session-ID")
        return cls(local.lower(), remote.lower())

    def __str__(self) -> str:
        return f"{self.local};remote={self.remote}"


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

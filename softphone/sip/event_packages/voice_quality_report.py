"""Parses and writes voice quality reports, `application/vq-rtcpxr` (RFC 6035 section 4.6).

    VQSessionReport: CallTerm
    CallID: 6dg37f1890463
    ...
    LocalMetrics:
    Timestamps:START=2004-10-10T18:23:43Z STOP=2004-10-10T18:26:02Z

A report consists of lines with a name and a value; lines of metrics hold KEY=value pairs.  Each
known key is checked against the grammar; an unknown one, or a bare word, is an extension and is
dropped.  The parser also accepts what the RFC's examples and phones write: folded lines, any order
within a part, an SSRC without 0x, "Metrics" for LocalMetrics, no groups, remote metrics without
timestamps.  The writer follows the grammar and its order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from softphone.sip.message import MalformedMessage

__all__ = [
    "EVENT_PACKAGE",
    "LONGEST_VALUE",
    "REPORT_TYPE",
    "VoiceQualityReport",
    "VoiceReportKind",
    "VoiceReportMetrics",
    "parse_voice_report",
    "print_voice_report",
]

EVENT_PACKAGE, REPORT_TYPE = "vq-rtcpxr", "application/vq-rtcpxr"
LONGEST, MOST_LINES, MOST_KEYS = 16_384, 128, 32
LONGEST_VALUE = 1024
"""The most characters in the value of a session line."""


class VoiceReportKind(StrEnum):
    """The subject of a report: a session, an interval of it, or a crossed threshold."""

    SESSION = "VQSessionReport"
    INTERVAL = "VQIntervalReport"
    ALERT = "VQAlertReport"


@dataclass(frozen=True, slots=True)
class VoiceReportMetrics:
    """`LocalMetrics` or `RemoteMetrics`: values as written, by line and key."""

    lines: Mapping[str, Mapping[str, str]]

    def get(self, line: str, key: str) -> str | None:
        """Return the value of a key in a line, None if there is none."""
        return self.lines.get(line, {}).get(key)


@dataclass(frozen=True, slots=True)
class VoiceQualityReport:
    """One report.

    `session` has the lines about the call ("CallID", "LocalID", ...) as written, `alert` the keys
    of an alert (TYPE, SEVERITY, DIR).  `final` says that the call has ended (CallTerm).
    """

    kind: VoiceReportKind
    session: Mapping[str, str]
    local: VoiceReportMetrics
    remote: VoiceReportMetrics | None = None
    final: bool = False
    dialog: str | None = None
    alert: Mapping[str, str] = field(default_factory=dict)


# The grammar ------------------------------------------------------------------------------------

_WORD = r"[A-Za-z0-9\-.!%*_+`'~()<>:\\/\[\]?{},@;=]+"
_NUMBER = r"[0-9]{1,5}"
_DURATION = r"[0-9]{1,7}"
_SHARE = r"(?:100(?:\.0{1,2})?|[0-9]{1,2}(?:\.[0-9]{1,2})?)"
_MOS = r"[0-5](?:\.[0-9]{1,3})?"
_LEVEL = r"-?[0-9]{1,3}"
_DATE, _CLOCK = r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
_TIME = rf"{_DATE}T{_CLOCK}(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})"
_QUOTED = r'"[^"\r\n]{0,256}"'
_R = r"(?:120|1[01][0-9]|[0-9]{1,2})"

METRIC_LINES: Mapping[str, Mapping[str, str]] = {
    "Timestamps": {"START": _TIME, "STOP": _TIME},
    "SessionDesc": {
        "PT": r"(?:1[01][0-9]|12[0-7]|[0-9]{1,2})",
        "PD": rf"(?:{_WORD}|{_QUOTED})",
        "SR": r"[0-9]{1,6}(?:;[0-9]{1,6}){0,7}",
        "PPS": _NUMBER,
        "FD": r"[0-9]{1,4}",
        "FO": _NUMBER,
        "FPP": r"[0-9]{1,2}",
        "FMTP": _QUOTED,
        "PLC": r"[0-3]",
        "SSUP": r"(?:on|off)",
    },
    "JitterBuffer": {
        "JBA": r"[0-3]",
        "JBR": r"(?:1[0-5]|[0-9])",
        "JBN": _NUMBER,
        "JBM": _NUMBER,
        "JBX": _NUMBER,
    },
    "PacketLoss": {"NLR": _SHARE, "JDR": _SHARE},
    "BurstGapLoss": {
        "BLD": _SHARE,
        "BD": _DURATION,
        "GLD": _SHARE,
        "GD": _DURATION,
        "GMIN": r"[0-9]{1,3}",
    },
    "Delay": dict.fromkeys(("RTD", "ESD", "OWD", "SOWD", "IAJ", "MAJ"), _NUMBER),
    "Signal": {"SL": _LEVEL, "NL": _LEVEL, "RERL": r"[0-9]{1,3}"},
    "QualityEst": {
        "RLQ": _R,
        "RLQEstAlg": _WORD,
        "RCQ": _R,
        "RCQEstAlg": _WORD,
        "EXTRI": _R,
        "ExtRIEstAlg": _WORD,
        "EXTRO": _R,
        "ExtROEstAlg": _WORD,
        "MOSLQ": _MOS,
        "MOSLQEstAlg": _WORD,
        "MOSCQ": _MOS,
        "MOSCQEstAlg": _WORD,
        "QoEEstAlg": _WORD,
    },
}
_ADDRESS = re.compile(
    r"IP=[0-9A-Fa-f.:\[\]]{2,45} +PORT=[0-9]{1,5} +SSRC=(?:0x)?[0-9A-Fa-f]{1,8}", re.IGNORECASE
)
_ANY = re.compile(rf".{{1,{LONGEST_VALUE}}}")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:\-][0-9A-Fa-f]{2}){5}")
SESSION_LINES: Mapping[str, re.Pattern[str]] = {
    "CallID": _ANY,
    "LocalID": _ANY,
    "RemoteID": _ANY,
    "OrigID": _ANY,
    "LocalAddr": _ADDRESS,
    "RemoteAddr": _ADDRESS,
    "LocalGroup": _ANY,
    "RemoteGroup": _ANY,
    "LocalMAC": _MAC,
    "RemoteMAC": _MAC,
}
REQUIRED = ("CallID", "LocalID", "RemoteID", "OrigID", "LocalAddr", "RemoteAddr")
GROUPS = ("LocalGroup", "RemoteGroup")
"""Required by the grammar and so in `print_voice_report`; phones leave them out."""
_ALERT = {
    "TYPE": _WORD,
    "SEVERITY": r"(?:Warning|Critical|Clear)",
    "DIR": r"(?:local|remote)",
}
_ALERT_NAMES = ("Type", "Severity", "Dir")
_KEY = r"([A-Za-z0-9\-]{1,32})[ \t]*+=[ \t]*+"
_PARAMETER = re.compile(rf'{_KEY}({_QUOTED}|[^ \t"]{{1,256}})')
_EXTENSION = re.compile(rf'(?!{_KEY})[^ \t"]{{1,256}}')
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9\-]{0,63}")
_LOCAL, _REMOTE, _DIALOG = "LocalMetrics", "RemoteMetrics", "DialogID"
_KNOWN = {
    name.lower(): name
    for name in (*VoiceReportKind, *SESSION_LINES, *METRIC_LINES, _LOCAL, _REMOTE, _DIALOG)
} | {"metrics": _LOCAL}
_KEYS = {
    line: {key.upper(): (key, re.compile(form, re.IGNORECASE)) for key, form in keys.items()}
    for line, keys in METRIC_LINES.items()
}


def _wrong(what: str) -> MalformedMessage:
    return MalformedMessage(f"a voice quality report {what}")


# Reading ----------------------------------------------------------------------------------------


def parse_voice_report(data: bytes) -> VoiceQualityReport:
    """Parse a report.  Raises MalformedMessage and nothing else."""
    lines = list(_lines(data))
    if not lines or lines[0][0] not in list(VoiceReportKind):
        raise _wrong("begins with what it is")
    kind = VoiceReportKind(lines[0][0])
    parts: dict[str, dict[str, str]] = {"": {}}
    part, dialog = "", None
    for name, value in lines[1:]:
        if name in (_LOCAL, _REMOTE):
            if name in parts or value:
                raise _wrong(f"has one {name}, with a line of its own")
            part = name
            parts[part] = {}
        elif name == _DIALOG:
            dialog = value
        elif name in (METRIC_LINES if part else SESSION_LINES):
            if name in parts[part]:
                raise _wrong(f"has two lines {name}")
            parts[part][name] = value
        elif name in _KNOWN.values():
            raise _wrong(f"has {name} where it does not belong")
    if _LOCAL not in parts:
        raise _wrong("has LocalMetrics")
    remote = _metrics(parts[_REMOTE]) if _REMOTE in parts else None
    final, alert = _subject(kind, lines[0][1])
    local = _timed(_metrics(parts[_LOCAL]))
    return VoiceQualityReport(kind, _session(parts[""]), local, remote, final, dialog, alert)


def _lines(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the unfolded lines as (name, value), known names in the RFC's spelling."""
    if len(data) > LONGEST:
        raise _wrong(f"has at most {LONGEST} octets")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _wrong("is UTF-8") from None
    rows = re.sub(r"\r?\n[ \t]+", " ", text).replace("\r\n", "\n").split("\n")
    if len(rows) > MOST_LINES:
        raise _wrong(f"has at most {MOST_LINES} lines")
    for row in filter(str.strip, rows):
        name, colon, value = row.partition(":")
        name = name.strip()
        if _NAME.fullmatch(name) is None or any(ord(one) < 32 and one != "\t" for one in row):
            raise _wrong("has lines of a name and a value")
        if not colon and name not in (VoiceReportKind.SESSION, VoiceReportKind.INTERVAL):
            raise _wrong("has a colon after each name")
        yield _KNOWN.get(name.lower(), name), value.strip()


def _subject(kind: VoiceReportKind, value: str) -> tuple[bool, Mapping[str, str]]:
    """Return whether the report is final (CallTerm), and the keys of an alert."""
    if kind is not VoiceReportKind.ALERT:
        if value not in ("", "CallTerm"):
            raise _wrong("ends a call with CallTerm")
        return value == "CallTerm", {}
    said = {key.upper(): text for key, text in _parameters(value)}
    if said.keys() != _ALERT.keys() or any(
        re.fullmatch(_ALERT[key], text, re.IGNORECASE) is None for key, text in said.items()
    ):
        raise _wrong("of an alert says Type, Severity and Dir")
    return False, said


def _session(lines: Mapping[str, str]) -> Mapping[str, str]:
    missing = [name for name in REQUIRED if name not in lines]
    if missing:
        raise _wrong(f"has {missing[0]}")
    for name, value in lines.items():
        if SESSION_LINES[name].fullmatch(value) is None:
            raise _wrong(f"has a {name} of another form")
    return dict(lines)


def _metrics(lines: Mapping[str, str]) -> VoiceReportMetrics:
    found: dict[str, dict[str, str]] = {}
    for line, value in lines.items():
        keys = found[line] = {}
        for name, text in _parameters(value):
            known = _KEYS[line].get(name.upper())
            if known is None:
                continue
            key, form = known
            if key in keys or form.fullmatch(text) is None:
                raise _wrong(f"has {key} once, in its form, in {line}")
            keys[key] = text
    return VoiceReportMetrics(found)


def _timed(metrics: VoiceReportMetrics) -> VoiceReportMetrics:
    if not {"START", "STOP"} <= metrics.lines.get("Timestamps", {}).keys():
        raise _wrong("says from when to when its metrics are")
    return metrics


def _parameters(value: str) -> Iterator[tuple[str, str]]:
    """Yield (key, value) pairs; the key is "" for an extension that is a bare word."""
    at = count = 0
    while at < len(value):
        match = _PARAMETER.match(value, at) or _EXTENSION.match(value, at)
        count += 1
        if match is None or count > MOST_KEYS:
            raise _wrong("has KEY=value in a line of metrics")
        yield (match[1], match[2]) if match.re is _PARAMETER else ("", match[0])
        rest = value[match.end() :].lstrip(" \t")
        at = len(value) - len(rest)
        if rest and at == match.end():
            raise _wrong("has spaces between the keys of a line")


# Writing ----------------------------------------------------------------------------------------


def print_voice_report(report: VoiceQualityReport) -> bytes:
    """Write a report, in the order of the grammar.

    Raises MalformedMessage if the report violates the grammar or `parse_voice_report` would reject
    it.
    """
    missing = [name for name in GROUPS if name not in report.session]
    if missing:
        raise _wrong(f"is written with {missing[0]}")
    head = report.kind.value
    if report.final:
        head += ": CallTerm"
    if report.alert:
        said = {name: report.alert.get(name.upper(), "") for name in _ALERT_NAMES}
        head += ": " + _keys(said, _ALERT_NAMES)
    lines = [head]
    lines += [f"{name}: {report.session[name]}" for name in SESSION_LINES if name in report.session]
    for name, metrics in ((_LOCAL, report.local), (_REMOTE, report.remote)):
        if metrics is not None:
            lines.append(f"{name}:")
            lines += [
                f"{line}: {_keys(metrics.lines[line], order)}"
                for line, order in METRIC_LINES.items()
                if _timed(metrics).lines.get(line)
            ]
    if report.dialog is not None:
        lines.append(f"{_DIALOG}: {report.dialog}")
    data = "".join(f"{line}\r\n" for line in lines).encode()
    if parse_voice_report(data) != report:
        raise _wrong("is read as it is written")
    return data


def _keys(keys: Mapping[str, str], order: Iterable[str]) -> str:
    return " ".join(f"{key}={keys[key]}" for key in order if key in keys)

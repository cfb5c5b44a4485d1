"""Finds out from recorded messages why a call was refused: which m-line, which crypto line.

Takes SIP messages (raw, or a ladder's transcript), a drawn ladder, bare session descriptions, or a
command's JSON lines.  Judges offer and answer by the rules that the phone applies (RFC 3264,
RFC 4568).  A masked key is not judged; the rest of its line is.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise

from softphone.diagnostics.redact import mask
from softphone.diagnostics.refusal_text import explain_response
from softphone.sdp import (
    Crypto,
    MalformedDescription,
    MediaDescription,
    SessionDescription,
    read_crypto,
)
from softphone.security import CryptoSuite
from softphone.sip.message import Request, Response, parse_datagram
from softphone.srtp import (
    CryptoRefusal,
    check_crypto_answer,
    choose_crypto,
)

LARGEST = 4 << 20
"""Characters of the text that are read."""
_BEGIN = re.compile(r"^(?:[A-Z]{3,16} [^ \n]{1,2000} SIP/2\.0|SIP/2\.0 \d{3}(?: [^\n]*)?)$", re.M)
_DRAWN = re.compile(r"^ {0,9}\d{1,7}\.\d{3}  (\|[^\n]{1,1000}\|)[ |]{0,400}$", re.M)
"""A row of a ladder: the time, and arrows between bars."""
_REFUSED = re.compile(r"([3-6]\d\d) (.+)")
_CHALLENGES = (401, 407)
_CHALLENGED = re.compile(r"40[17] [^(]{0,200}\((\d{1,10}) ([A-Z]{1,16})\)")
_REQUESTED = re.compile(r"([A-Z]{1,16}) \((\d{1,10})\)")
_BREAK = re.compile(r"^--- [^\n]*$", re.M)
_MASKED = re.compile(r"^(a=crypto:\d{1,9} ([A-Z0-9_]{1,64}) inline:)\*{3,}", re.M)
_SECURE = {"RTP/SAVP": "RTP/AVP", "RTP/SAVPF": "RTP/AVPF"}


@dataclass(frozen=True, slots=True)
class RefusalFinding:
    """A fault: the message or m-line, the crypto line, and the rule that it breaks.

    `line` is "" when no crypto line is concerned.
    """

    place: str
    line: str
    rule: str

    @property
    def media(self) -> bool:
        """Whether the finding concerns one stream of the call."""
        return self.place.startswith("m-line")


def analyze_refusals(text: str) -> list[RefusalFinding]:
    """List every finding against a call, in the order of the text; empty without any.

    A finding contains no key, password or token.
    """
    text = text[:LARGEST].replace("\r\n", "\n")
    logged = list(_from_log(text))
    if logged:
        return logged
    text = _unmasked(text)
    chunks = list(_messages(text))
    found = list(_from_messages(chunks)) if chunks else list(_from_descriptions(text))
    found = found or list(_from_ladder(text))
    return [RefusalFinding(each.place, each.line, mask(each.rule)) for each in found]


def is_readable(text: str) -> bool:
    """Whether the text contains anything that `analyze_refusals` can judge."""
    text = text[:LARGEST].replace("\r\n", "\n")
    signs = (_BEGIN, _DRAWN, re.compile(r"^v=0$|^\{.{0,99}\"event\"", re.M))
    return any(sign.search(text) for sign in signs)


# A command's JSON lines -------------------------------------------------------------------------


def _from_log(text: str) -> Iterator[RefusalFinding]:
    for line in text.splitlines():
        try:
            values = json.loads(line) if line.startswith("{") else None
        except ValueError:
            continue
        if not isinstance(values, dict) or values.get("result") in ("completed", "answered"):
            continue
        reason = values.get("reason") or values.get("explanation")
        if values.get("event") in ("summary", "refused", "security_refused") and reason:
            status = values.get("status") or ""
            yield RefusalFinding(f"{values['event']} {status}".rstrip(), "", mask(str(reason)))


# SIP messages -----------------------------------------------------------------------------------


def _messages(text: str) -> Iterator[str]:
    begins = [found.start() for found in _BEGIN.finditer(text)]
    for begin, end in pairwise([*begins, len(text)]):
        cut = _BREAK.search(text, begin, end)
        yield text[begin : end if cut is None else cut.start()]


def _parsed(text: str) -> Request | Response | None:
    """Parse a message, even if masking or an editor has changed its length; None if it is none."""
    head, _, body = text.partition("\n\n")
    lines = [one for one in head.split("\n") if not re.match(r"(?i)(content-length|l)[ \t]*:", one)]
    data = "\r\n".join(lines) + "\r\n\r\n" + body.strip("\n").replace("\n", "\r\n")
    if body.strip():
        data += "\r\n"
    item = parse_datagram(data.encode())
    return item if isinstance(item, Request | Response) else None


def _from_messages(chunks: Sequence[str]) -> Iterator[RefusalFinding]:
    offers: dict[str, tuple[Request | Response, SessionDescription]] = {}
    seen: set[tuple[str, bytes]] = set()
    messages = [_parsed(chunk) for chunk in chunks]
    answered = _answered_challenges(messages)
    for number, message in enumerate(messages, 1):
        if number in answered:
            continue
        if message is None:
            yield RefusalFinding(f"message {number}", "", "it is malformed (RFC 3261 section 7)")
            continue
        call_id = message.call_id
        if isinstance(message, Response) and message.status >= 300:
            _, offer = offers.pop(call_id, (None, None))
            suites = [] if offer is None else _suites(offer)
            yield RefusalFinding(
                f"message {number}", "", explain_response(message, offered_suites=suites)
            )
            if offer is not None and message.status in (415, 488, 606):
                yield from _judge_offer(offer)
            continue
        description = _description(message)
        if isinstance(description, RefusalFinding):
            yield RefusalFinding(f"message {number}, {description.place}", "", description.rule)
        elif description is None or (call_id, message.body) in seen:
            continue
        elif call_id in offers and _may_answer(message, offers[call_id][0]):
            # The same answer in the same call, in a 183 and a 200 or retransmitted, is judged once.
            seen.add((call_id, message.body))
            yield from _judge_pair(offers.pop(call_id)[1], description)
        else:
            offers[call_id] = message, description


def _may_answer(message: Request | Response, offer: Request | Response) -> bool:
    """Whether a message may have the answer to an offer (RFC 3261 section 13.2.1, RFC 3262 5).

    A request sent again, with credentials or retransmitted, offers again.
    """
    if isinstance(offer, Request):
        return isinstance(message, Response) and message.cseq == offer.cseq
    return isinstance(message, Request) and message.method in ("ACK", "PRACK")


def _answered_challenges(messages: Sequence[Request | Response | None]) -> set[int]:
    """The indices, from 1, of 401 and 407 responses that the same request with credentials follows.

    They are not refusals (RFC 3261 section 22.2): the response to that request decides.
    """
    answered: set[int] = set()
    with_credentials: dict[tuple[str, str], int] = {}
    for number, message in reversed(tuple(enumerate(messages, 1))):
        if message is None:
            continue
        request, sequence = (message.call_id, message.cseq.method), message.cseq.number
        if isinstance(message, Request):
            if {"Authorization", "Proxy-Authorization"} & {name for name, _ in message.headers}:
                with_credentials[request] = max(with_credentials.get(request, 0), sequence)
        elif message.status in _CHALLENGES and with_credentials.get(request, 0) > sequence:
            answered.add(number)
    return answered


def count_answered_challenges(text: str) -> int:
    """The number of answered 401 and 407 responses in a text of messages, or in a ladder."""
    text = text[:LARGEST].replace("\r\n", "\n")
    chunks = list(_messages(text))
    if chunks:
        return len(_answered_challenges([_parsed(chunk) for chunk in chunks]))
    rows = _ladder_rows(text)
    answered = _answered_rows(rows)
    return sum(row in answered for row in rows)


def _description(message: Request | Response) -> SessionDescription | RefusalFinding | None:
    content = message.content
    if content is None or content.media_type != "application/sdp":
        return None
    return _read(content.data)


def _read(data: bytes) -> SessionDescription | RefusalFinding:
    try:
        return SessionDescription.parse(data)
    except MalformedDescription as error:
        return RefusalFinding("session description", "", f"it is malformed: {error}")


def _from_descriptions(text: str) -> Iterator[RefusalFinding]:
    """Judge bare descriptions: an offer, or an offer and its answer."""
    parts = [part for part in re.split(r"(?m)^(?=v=0$)", text) if part.startswith("v=0")]
    read = [_read(part.strip().replace("\n", "\r\n").encode() + b"\r\n") for part in parts[:2]]
    good = [one for one in read if isinstance(one, SessionDescription)]
    yield from (one for one in read if isinstance(one, RefusalFinding))
    if len(good) == 2:
        yield from _judge_pair(*good)
    elif good:
        yield from _judge_offer(good[0])


def _from_ladder(text: str) -> Iterator[RefusalFinding]:
    """Judge a drawn ladder, which has only the status, phrase and request of a refusal."""
    rows = _ladder_rows(text)
    answered = _answered_rows(rows)
    for row in rows:
        refused = _REFUSED.match(row)
        if refused and row not in answered:
            reason, _, request = refused[2].partition(" (")
            place = f"ladder, {request.partition(')')[0]}" if request else "ladder"
            yield RefusalFinding(place, "", explain_response(Response(int(refused[1]), reason)))


def _ladder_rows(text: str) -> list[str]:
    return [row.strip("| ").strip("<>- ") for row in _DRAWN.findall(text)]


def _answered_rows(rows: Sequence[str]) -> set[str]:
    """The rows of challenges that a later request of the same method answered."""
    requests = {(one[1], int(one[2])) for one in map(_REQUESTED.match, rows) if one}
    challenges = [one for one in map(_CHALLENGED.match, rows) if one]
    return {one.string for one in challenges if (one[2], int(one[1]) + 1) in requests}


# Offer and answer -------------------------------------------------------------------------------


def _media_line_name(index: int, media: MediaDescription) -> str:
    return f"m-line {index + 1} ({media.media} {media.protocol})"


def _suites(offer: SessionDescription) -> list[str]:
    lines = [line for media in offer.media for line in read_crypto(media)]
    return list(dict.fromkeys(str(line.suite_name) for line in lines if line.suite_name))


def _lines(place: str, refusals: Sequence[CryptoRefusal]) -> Iterator[RefusalFinding]:
    for one in refusals:
        tag = "?" if one.tag is None else one.tag
        line = f"a=crypto:{tag} {one.suite}" if one.suite else "none"
        yield RefusalFinding(place, line, f"{one.reason} (RFC 4568: {one.code.value})")


def _judge_offer(offer: SessionDescription) -> Iterator[RefusalFinding]:
    """Yield what an answerer may have found wrong with an offer."""
    for index, media in enumerate(offer.media):
        place, lines = _media_line_name(index, media), read_crypto(media, offer.attributes)
        if media.protocol.upper() in _SECURE:
            yield from _lines(place, choose_crypto(lines, allowed=tuple(CryptoSuite)).refusals)
        elif lines and media.port:
            rule = "crypto lines in this profile count only if both ends know OSRTP (RFC 8643)"
            yield RefusalFinding(place, f"{len(lines)} lines", rule)


def _judge_pair(offer: SessionDescription, answer: SessionDescription) -> Iterator[RefusalFinding]:
    if len(offer.media) != len(answer.media):
        rule = f"the offer has {len(offer.media)} m-lines and the answer {len(answer.media)}"
        yield RefusalFinding("answer", "", f"{rule}: they must be as many (RFC 3264 section 6)")
    for index, (ours, theirs) in enumerate(zip(offer.media, answer.media, strict=False)):
        yield from _judge_media(index, ours, theirs)


def _judge_media(
    index: int, ours: MediaDescription, theirs: MediaDescription
) -> Iterator[RefusalFinding]:
    place = _media_line_name(index, ours)
    if not theirs.port:
        if ours.port:
            yield RefusalFinding(place, "", "the answer refuses it: port 0 (RFC 3264 section 6)")
            yield from _lines(
                place, choose_crypto(read_crypto(ours), allowed=tuple(CryptoSuite)).refusals
            )
        return
    if ours.protocol.upper() != theirs.protocol.upper():
        yield RefusalFinding(place, "", _profile_rule(ours.protocol, theirs.protocol))
    elif ours.protocol.upper() in _SECURE:
        offered = [line for line in read_crypto(ours) if isinstance(line, Crypto)]
        yield from _lines(place, check_crypto_answer(offered, read_crypto(theirs)).refusals)
    if not set(ours.formats) & set(theirs.formats):
        yield RefusalFinding(
            place, "", "the answer takes none of the codecs offered (RFC 3264 section 6)"
        )


def _profile_rule(offered: str, answered: str) -> str:
    if _SECURE.get(offered.upper()) == answered.upper():
        return (
            f"SRTP was offered and the answer is {answered}, in clear: it is taken only with"
            " srtp = optional and from a server that agreed to fall back (X-cisco-srtp-fallback)"
        )
    return f"{offered} was offered and {answered} answered: the profile must stay (RFC 3264 6)"


# Masked keys ------------------------------------------------------------------------------------


def _unmasked(text: str) -> str:
    """Replace masked keys by distinct keys of the right length."""
    numbers = count(1)

    def some_key(found: re.Match[str]) -> str:
        suite = CryptoSuite.named(found[2])
        if suite is None:
            return found[0]
        size = suite.material_length
        key = next(numbers).to_bytes(4, "big").ljust(size, b"\0")
        return found[1] + base64.b64encode(key).decode()

    return _MASKED.sub(some_key, text)

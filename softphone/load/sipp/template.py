"""Texts with SIPp's keywords: `[call_id]`, `[last_Via:]`, `[$name]`, `[field0]`, `[branch-2]`.

A template is read once and filled in for every message.  Unknown keywords are found when the
scenario is read, not when a message is sent.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from softphone.security import CryptoSuite

_KEYWORD = re.compile(
    r"\[((?:field[0-9]{1,4}|file|authentication)\s(?:[^\[\]\n]|\[[^\[\]\n]{1,200}\]){1,1000}"
    r"|[^\[\]\n]{1,1000})\]"
)
"""A keyword; those with arguments may have keywords in them."""
_OFFSET = re.compile(r"([A-Za-z_]+)([+-][0-9]{1,9})")
_FIELD = re.compile(r"field([0-9]{1,4})")
_ARGUMENT = re.compile(r"\s+([A-Za-z_]+)=(\"[^\"]*\"|[^\"\s]\S*)")
_ARGUMENTS = re.compile(rf"(?:{_ARGUMENT.pattern})*\s*")

PLAIN = frozenset(
    (
        "auto_media_port",
        "branch",
        "call_id",
        "call_number",
        "clock_tick",
        "cseq",
        "date",
        "len",
        "local_ip",
        "local_ip_type",
        "local_port",
        "media_ip",
        "media_ip_type",
        "media_port",
        "msg_index",
        "next_url",
        "peer_tag_param",
        "pid",
        "remote_host",
        "remote_ip",
        "remote_port",
        "routes",
        "rtpstream_audio_port",
        "rtpstream_video_port",
        "service",
        "timestamp",
        "transport",
    )
)
OFFSETS = frozenset(
    (
        *("auto_media_port", "branch", "cseq", "media_port"),
        *("rtpstream_audio_port", "rtpstream_video_port"),
    )
)
_CRYPTO = re.compile(
    r"crypto(?:(tag[12])(?:audio|video)|(keyparams[12](?:audio|video))(-[0-9]{1,9})?"
    r"|suite(aescm128sha1(?:80|32))[12](?:audio|video))"
)
"""SIPp's keywords of `a=crypto` lines; those of suites without encryption are none of ours."""
_SUITES = {
    "aescm128sha180": CryptoSuite.AES_CM_128_HMAC_SHA1_80,
    "aescm128sha132": CryptoSuite.AES_CM_128_HMAC_SHA1_32,
}
_ARGUMENT_NAMES = {
    "authentication": frozenset(("username", "password")),
    "field": frozenset(("file", "line")),
    "file": frozenset(("name",)),
}
_OWN_LINE = ("last", "routes", "authentication", "field")
"""Keywords whose line goes when they have no value."""
SHELL_PREFIX = "SIPP_VALUE_"
"""The beginning of the names of a command's variables; a number follows."""
_OF_THE_USER = ("field", "key")
"""Keywords whose values the user has given."""
_REFERENCES = {"": '"${%s}"', '"': "${%s}", "'": "'\"${%s}\"'"}
"""A reference outside of quotes, and within each kind of them."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword: `name`, what it is about (a header, variable or field), and its offset.

    `last` has the header's name as `subject`, `variable` the variable's, `field` the number of the
    field, `key` the name that the user has given a value for, `text` what it always is, `crypto`
    which key of ours: an offset keeps the key that was drawn before.  `file` has the name of a file
    as `subject`, and its text as an argument.
    """

    name: str
    subject: str = ""
    offset: int = 0
    arguments: tuple[tuple[str, Template], ...] = dataclasses.field(default=(), repr=False)

    def argument(self, name: str, value: FillKeyword) -> str | None:
        """The text of an argument, or None; `value` fills in the keywords in it."""
        template = dict(self.arguments).get(name)
        return None if template is None else template.fill(value)


Piece: TypeAlias = str | Keyword
FillKeyword: TypeAlias = Callable[[Keyword], str]
ReadFile: TypeAlias = Callable[[str], str]
"""Gives the text of the file of a name; ValueError says why not."""


def no_file(name: str) -> str:
    """Read no file.  Raises ValueError."""
    raise ValueError(f"no file is read here: {name}")


@dataclass(frozen=True, slots=True)
class Template:
    """A text of one line or several, cut at its keywords."""

    pieces: tuple[Piece, ...]

    def fill(self, value: FillKeyword) -> str:
        """Return the text with the value of every keyword in its place."""
        return "".join(each if isinstance(each, str) else value(each) for each in self.pieces)

    def keywords(self) -> Iterable[Keyword]:
        """The keywords in order."""
        return (each for each in self.pieces if not isinstance(each, str))

    @property
    def vanishes(self) -> bool:
        """Whether it is one keyword alone, whose line goes when it has no value."""
        marks = [each for each in self.pieces if not isinstance(each, str)]
        texts = "".join(each for each in self.pieces if isinstance(each, str))
        return len(marks) == 1 and not texts.strip() and marks[0].name in _OWN_LINE


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """A message: lines of its head and of its body, each a template.

    `method` is the method of a request, "" for a response.
    """

    head: tuple[Template, ...]
    body: tuple[Template, ...]
    method: str

    def keywords(self) -> Iterable[Keyword]:
        """The keywords of all lines, in order."""
        for line in (*self.head, *self.body):
            yield from line.keywords()

    def fill(self, value: FillKeyword) -> tuple[list[str], bytes]:
        """Return the lines of the head and the octets of the body.

        `len` gets the length of the body, the other keywords what `value` gives.
        """
        body = "".join(line + "\r\n" for line in _lines(self.body, value))
        octets = encode_text(body)

        def with_length(keyword: Keyword) -> str:
            return str(len(octets) + keyword.offset) if keyword.name == "len" else value(keyword)

        return _lines(self.head, with_length), octets


def _lines(templates: Iterable[Template], value: FillKeyword) -> list[str]:
    lines: list[str] = []
    for template in templates:
        text = template.fill(value)
        if text.strip() or not template.vanishes:
            lines += text.split("\r\n")
    return lines


def fill_command(template: Template, value: FillKeyword) -> tuple[str, dict[str, str]]:
    """Return a command line for `sh -c`, and the variables that it refers to.

    What a far end has written is never read by the shell: its value is a variable's, and only a
    reference stands in the command line, quoted as its place demands.  Shells do not parse what a
    variable expands to (IEEE Std 1003.1, section 2.6).  Values of the user are text as they are.
    """
    command, quote = "", ""
    variables: dict[str, str] = {}
    for piece in template.pieces:
        if not isinstance(piece, str) and piece.name not in _OF_THE_USER:
            name = f"{SHELL_PREFIX}{len(variables) + 1}"
            # No variable of a process can hold a NUL.
            variables[name] = value(piece).replace("\0", "")
            command += _REFERENCES[quote] % name
            continue
        text = piece if isinstance(piece, str) else value(piece)
        command += text
        quote = _quote_behind(text, quote)
    return command, variables


def _quote_behind(text: str, quote: str) -> str:
    """The quote that is open behind a text, "" for none; `quote` is open before it."""
    escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = quote != "'"
        elif character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote = character
    return quote


def encode_text(text: str) -> bytes:
    """The octets of a message's text; what came in as other octets goes out as it came."""
    return text.encode("utf-8", "surrogateescape")


def decode_text(data: bytes) -> str:
    """The text of received octets, which `encode_text` turns back."""
    return data.decode("utf-8", "surrogateescape")


def parse_template(text: str, keys: Collection[str], read_file: ReadFile = no_file) -> Template:
    """Cut a text at its keywords; `keys` are names that the user has given values for.

    Raises ValueError for a keyword that is unknown, and what `read_file` raises for a `[file]`.
    """
    pieces: list[Piece] = []
    at = 0
    for match in _KEYWORD.finditer(text):
        if match.start() > at:
            pieces.append(_literal(text[at : match.start()]))
        pieces.append(_parse_keyword(match[1], keys, read_file))
        at = match.end()
    if at < len(text):
        pieces.append(_literal(text[at:]))
    return Template(tuple(pieces))


def _literal(text: str) -> str:
    return text.replace("\\x5b", "[").replace("\\x5d", "]") if "\\x5" in text else text


def _parse_keyword(text: str, keys: Collection[str], read_file: ReadFile) -> Keyword:
    if text in PLAIN:
        return Keyword(text)
    if text in keys:
        return Keyword("key", text)
    if text.startswith("$") and len(text) > 1:
        return Keyword("variable", text[1:])
    if text.startswith("last_"):
        name = text.removeprefix("last_").removesuffix(":")
        if name and ":" not in name and " " not in name:
            return Keyword("last", name)
    crypto = _CRYPTO.fullmatch(text)
    if crypto is not None:
        return _crypto_keyword(crypto)
    moved = _OFFSET.fullmatch(text)
    if moved is not None and moved[1] in OFFSETS:
        return Keyword(moved[1], offset=int(moved[2]))
    return _parse_arguments(text, keys, read_file)


def _crypto_keyword(match: re.Match[str]) -> Keyword:
    tag, key, offset, suite = match.groups()
    if key:
        return Keyword("crypto", key, int(offset or 0))
    return Keyword("text", tag[-1] if tag else _SUITES[suite].value)


def _parse_arguments(text: str, keys: Collection[str], read_file: ReadFile) -> Keyword:
    name = text.split(maxsplit=1)[0] if text.strip() else text
    number = _FIELD.fullmatch(name)
    kind = "field" if number is not None else name
    rest = text[len(name) :]
    if kind not in _ARGUMENT_NAMES or not _ARGUMENTS.fullmatch(rest):
        # What follows the name may be a password.
        shown = name if name in _ARGUMENT_NAMES else text
        raise ValueError(f"keyword [{shown}] is not supported")
    arguments: list[tuple[str, Template]] = []
    for match in _ARGUMENT.finditer(rest):
        given, value = match[1], match[2].strip('"')
        if given not in _ARGUMENT_NAMES[kind]:
            raise ValueError(f"keyword [{name}]: {given}= is not supported")
        if given == "line" and not re.fullmatch(r"[0-9]{1,9}|\$.+|\[.+\]", value):
            raise ValueError(f"keyword [{name}]: line= is a number or a variable")
        if kind == "file":
            return _file_keyword(value, read_file)
        arguments.append((given, _parse_value(value, keys)))
    if kind == "file":
        raise ValueError("keyword [file]: name= is missing")
    return Keyword(kind, number[1] if number is not None else "", arguments=tuple(arguments))


def _file_keyword(name: str, read_file: ReadFile) -> Keyword:
    """The text of a file, whose name no far end may write: it stands in the scenario."""
    if not name or "[" in name or name.startswith("$"):
        raise ValueError("keyword [file]: name= is a fixed name, without keywords")
    try:
        text = read_file(name)
    except ValueError as error:
        raise ValueError(f"keyword [file]: {error}") from error
    return Keyword("file", name, arguments=(("text", Template((text,))),))


def _parse_value(text: str, keys: Collection[str]) -> Template:
    """Read the value of an argument: a text with keywords, or `$name` for a variable."""
    if text.startswith("$") and len(text) > 1:
        return Template((Keyword("variable", text[1:]),))
    return parse_template(text, keys)


def parse_authentication(text: str) -> Keyword | None:
    """Read a field of an injection file that is the keyword itself; None for a faulty one."""
    try:
        pieces = parse_template(text, ()).pieces
    except ValueError:
        return None
    return next((each for each in pieces if isinstance(each, Keyword)), None)


def parse_message(
    text: str, keys: Collection[str], line: int, read_file: ReadFile = no_file
) -> MessageTemplate:
    """Read a message: blanks around each line, and line ends around it all, are dropped.

    `line` is where the text begins in its file.  Raises ValueError with a line in its file.
    """
    lines = text.split("\n")
    first = next((at for at, each in enumerate(lines) if each.strip()), len(lines))
    last = next((at for at in range(len(lines), first, -1) if lines[at - 1].strip()), first)
    templates: list[Template] = []
    for number in range(first, last):
        stripped = lines[number].strip(" \t\r")
        try:
            templates.append(parse_template(stripped, keys, read_file))
        except ValueError as error:
            raise ValueError(f"{line + number}: {error}") from error
    if not templates:
        raise ValueError(f"{line}: there is no message to send")
    head_end = next((at for at, each in enumerate(templates) if not each.pieces), len(templates))
    start = lines[first].strip()
    method = "" if start.upper().startswith("SIP/2.0") else start.split(" ", 1)[0]
    return MessageTemplate(tuple(templates[:head_end]), tuple(templates[head_end + 1 :]), method)

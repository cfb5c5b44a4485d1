"""Routes incoming calls by the number that they call.

Patterns are those of Asterisk's dial plan, since trunks are configured by them; no RFC has any.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from softphone.errors import ConfigurationError
from softphone.sip import MalformedMessage, SipUri

CallHandler: TypeAlias = Callable[[Any], Awaitable[None]]
"""An async function that is given an `IncomingCall`; a call that it leaves unanswered is refused.

`Any`, because this package does not import `softphone.call`'s handles.
"""

LONGEST_NUMBER = 128
"""The longest number that a pattern may match; a longer one is no number."""
_SEPARATORS = re.compile(r"[-.() ]")
_CLASSES = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]"}
_SET = re.compile(r"\[(?:[0-9]-[0-9]|[0-9A-Za-z*#+])+\]")


def plain_number(user: str) -> str:
    """Take parameters, and from a phone number its visual separators, out of a user part.

    RFC 3966 section 5.1.1: "+49-30-1234;phone-context=x" is +49301234.
    """
    number = user.partition(";")[0]
    bare = _SEPARATORS.sub("", number)
    return bare if re.fullmatch(r"\+?[0-9*#]+", bare) else number


def compile_pattern(text: str, key: str = "routes.number") -> re.Pattern[str]:
    """Compile a number, or after "_" a pattern of `key`.  Raises ConfigurationError.

    X is a digit, Z one of 1-9, N one of 2-9, [15-7] one of a set; at the end "." stands for one
    character or more and "!" for any number of them.  Everything else stands for itself.
    """
    if not text or len(text) > LONGEST_NUMBER:
        raise ConfigurationError(
            f"{key}: give a number or a pattern of at most {LONGEST_NUMBER} characters"
        )
    if not text.startswith("_"):
        return re.compile(re.escape(text))
    body, parts, place = text[1:], [], 0
    rest = {".": ".+", "!": ".*"}.get(body[-1:], "")
    body = body[:-1] if rest else body
    while place < len(body):
        match = _SET.match(body, place)
        character = body[place]
        if match is not None:
            parts.append(match[0])
        elif character in "[].!":
            raise ConfigurationError(
                f"{key}: {text!r}: {character!r} is out of place; a set is written [15-7],"
                ' and "." and "!" end a pattern'
            )
        else:
            parts.append(_CLASSES.get(character, re.escape(character)))
        place += len(match[0]) if match is not None else 1
    if not parts and not rest:
        raise ConfigurationError(f"{key}: {text!r} is an empty pattern")
    try:
        return re.compile("".join(parts) + rest, re.DOTALL)
    except re.error as error:
        raise ConfigurationError(f"{key}: {text!r}: a set ends before it begins") from error


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """Where calls to some numbers go; the first route that matches counts."""

    number: str
    """The number, or after "_" a pattern as in Asterisk's dial plan: X is a digit, Z one of 1-9, N
    one of 2-9, [15-7] one of a set; a final "." is one character or more, "!" any number."""
    account: str | None = None
    """The `aor` of another account of this phone, which gets the call; its policy counts, too."""
    status: int | None = None
    """The status that refuses the call instead: 400 to 699."""
    handler: CallHandler | None = field(default=None, repr=False)
    """An async function that is given the call; in Python only."""

    def __post_init__(self) -> None:
        compile_pattern(self.number)
        given = (self.account, self.status, self.handler)
        if sum(each is not None for each in given) > 1:
            raise ConfigurationError(
                "routes.account: a call goes to an account, to a handler or is refused: give one"
            )
        if self.account is not None:
            try:
                SipUri.parse(self.account)
            except MalformedMessage as error:
                raise ConfigurationError(
                    f"routes.account: {self.account!r} is not the aor of an account: {error.reason}"
                ) from error
        if self.status is not None and not 400 <= self.status <= 699:
            raise ConfigurationError(f"routes.status: {self.status} is no refusal: 400 to 699")

    def matches(self, number: str) -> bool:
        """Whether calls to `number` take this route."""
        short = len(number) <= LONGEST_NUMBER
        return short and compile_pattern(self.number).fullmatch(number) is not None


def route_to(routes: tuple[RouteConfig, ...], number: str) -> RouteConfig | None:
    """Return the first route that a number matches; None without one."""
    return next((route for route in routes if route.matches(number)), None)

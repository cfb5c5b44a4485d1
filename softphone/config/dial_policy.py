"""What an account may dial: numbers, how often, how long, and for how much money.

`DialPolicyConfig.judge` is pure: it reads a target as the account's server would (ITU-T E.164, RFC
3966) and says whether its number may be called.  `softphone.account.dial_gate` counts calls and
money, and judges every call that an account places.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from softphone.config.numbering_plan import (
    LONGEST_E164,
    emergency_numbers,
    is_international,
    is_premium,
)
from softphone.config.routing import LONGEST_NUMBER, compile_pattern
from softphone.errors import ConfigurationError, DialRefused
from softphone.sip import SipUri, Uri
from softphone.sip.message import unescape
from softphone.value_types import settle_types

LONGEST_INTERNAL = 7
"""The most digits of an internal number: a longer one is a telephone number, whatever matches."""
MOST_CALLS = 1_000_000
"""The highest limit on calls."""

_VISUAL_SEPARATORS = re.compile(r"[-.() ]")
_DIGITS = re.compile(r"[0-9]+")
_LETTER = re.compile(r"[A-Za-z]")
_DIAL_STRING = re.compile(r"[pw,]*([0-9*#]+)(?:[pwtx,;!][0-9*#pwtx,;!]*)?", re.I)
"""Digits with pause ("p") and waiting for a tone ("w", RFC 2806 section 2.2), and what modems and
gateways read besides: "," and "!", tones ("t") and an extension ("x").  The group is the number
before them."""
_NUMBER = re.compile(r"\+?[0-9]+")
_INTERNATIONAL = re.compile(r"\+(?:1[2-9][0-9]{9}|[2-9][0-9]{6,14})")
"""With "+" and country code.  A number of the North American plan has ten digits behind its 1."""
_HIDDEN_DIGITS = re.compile(r"(?<=[0-9]{3})[0-9]+(?=[0-9]{2})")


@dataclass(frozen=True, slots=True)
class JudgedTarget:
    """A target that may be called by its number.

    `shown` is the number for logs, with its middle left out.  `price` is money a minute.  An
    `emergency` call is neither counted nor paid for.
    """

    shown: str
    price: float = 0.0
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class DialPolicyConfig:
    """What the account may dial; every rule must agree.  An account without a policy dials all.

    Prefixes are those of the account's own server, which reads the digits that are dialed.
    """

    country: str = ""
    """The account's country code, "49": other countries are international.  Without it all are."""
    international_prefix: str = "00"
    """The digits that replace "+" in a dialed number: "00", or "011" in North America."""
    national_prefix: str = "0"
    """The trunk prefix before an area code: "0", or "1" in North America, where it may be left out.
    With "" a number without prefix is a national one, and with "" for both prefixes it begins with
    a country code."""
    outside_line: str = ""
    """The digits that the server expects before an outside number, "9"; not used with "+"."""
    emergency: bool = False
    """Whether emergency numbers may be called; no other rule then holds such a call up."""
    premium: bool = False
    """Whether premium numbers, satellite phones and international networks may be called."""
    international: bool = False
    """Whether numbers of other countries may be called."""
    internal: tuple[str, ...] = ()
    """Extensions, feature codes and names that may be called in the account's own domain, as
    numbers and patterns of `[[routes]]`, "_6XX"; `bob@example.test` of another domain.  A number of
    more than 7 digits, or with "+", is never internal, with pauses ("p", "w") in it or without."""
    allow: tuple[str, ...] = ()
    """The telephone numbers that may be called, as patterns on their international form,
    "_+4930."; by default all that the other rules allow."""
    deny: tuple[str, ...] = ()
    """Numbers that may not be called: patterns on the international form, and on what was
    dialed."""
    calls_per_hour: int = 0
    """The most calls in any hour, with unanswered ones and our transfers; 0: without limit."""
    calls_at_once: int = 0
    """The most outgoing calls at once, those that ring included.  0: without limit."""
    call_duration: float = 0.0
    """Seconds after which an outgoing call that was answered is hung up; 0: only `limits`
    applies.
    """
    budget_per_hour: float = 0.0
    """The most money in any hour.  A call is placed only if it could last `call_duration`, which
    must be given; a number without a rate is refused.  0: without limit."""
    budget_per_day: float = 0.0
    """The most money in any 24 hours, by the same rules."""
    rates: Mapping[str, float] = field(default_factory=dict, hash=False)
    """The money that a minute costs, by prefix of the international form; the longest counts.  Each
    minute that has begun is paid for, from the answer on."""

    def __post_init__(self) -> None:
        settle_types(self, "dial_policy")
        object.__setattr__(self, "rates", dict(self.rates))
        for key in ("country", "international_prefix", "national_prefix", "outside_line"):
            text = getattr(self, key)
            if text and _DIGITS.fullmatch(text) is None:
                raise ConfigurationError(f"dial_policy.{key}: {text!r} is not of digits alone")
        if len(self.country) > 3 or self.country.startswith("0"):
            raise ConfigurationError(
                f'dial_policy.country: {self.country!r} is no country code such as "49"'
            )
        self._check_patterns()
        self._check_amounts()

    def _check_patterns(self) -> None:
        for pattern in self.internal:
            compile_pattern(pattern.rpartition("@")[0] or pattern, "dial_policy.internal")
        for key in ("allow", "deny"):
            for pattern in getattr(self, key):
                compile_pattern(pattern, f"dial_policy.{key}")

    def _check_amounts(self) -> None:
        for key in ("calls_per_hour", "calls_at_once"):
            if not 0 <= getattr(self, key) <= MOST_CALLS:
                raise ConfigurationError(
                    f"dial_policy.{key}: {getattr(self, key)} is not between 0 and {MOST_CALLS}"
                )
        for key in ("call_duration", "budget_per_hour", "budget_per_day"):
            _check_amount(f"dial_policy.{key}", getattr(self, key))
        for prefix, price in self.rates.items():
            if not isinstance(prefix, str) or not re.fullmatch(r"\+[0-9]{0,15}", prefix):
                raise ConfigurationError(
                    f'dial_policy.rates: {prefix!r} is no prefix with "+", such as "+49"'
                )
            if isinstance(price, bool) or not isinstance(price, int | float):
                raise ConfigurationError(f"dial_policy.rates: the rate of {prefix} is no number")
            _check_amount(f"dial_policy.rates: {prefix}", price)
        if self.has_budget and not self.call_duration:
            key = "budget_per_hour" if self.budget_per_hour else "budget_per_day"
            raise ConfigurationError(
                f"dial_policy.{key}: give call_duration as well, which bounds what a call may cost"
            )

    @property
    def has_budget(self) -> bool:
        """Whether calls are paid for out of a budget.

        :meta private:
        """
        return bool(self.budget_per_hour or self.budget_per_day)

    def judge(self, uri: Uri, *, domain: str, connected: bool = False) -> JudgedTarget:
        """Return what `uri` calls; `domain` is the account's own.

        With `connected` it is the Contact of a far end that we have a call with: it may be a name
        or an internal number of any phone, and a telephone number is judged as any other.  Raises
        DialRefused.

        :meta private:
        """
        text = _dialed_text(uri)
        bare = _VISUAL_SEPARATORS.sub("", text)
        shown = shown_number(text)
        behind = isinstance(uri, SipUri) and uri.password is not None
        if len(text) > LONGEST_NUMBER or ";" in text or behind:
            raise DialRefused(
                f"{shown}: dial the number alone: it has parameters, or is too long", rule="number"
            )
        if "%" in text:
            raise DialRefused(f"{shown}: its escapes are escaped once more", rule="number")
        number, why = self._international_form(bare)
        readings = self._readings(number)
        string = _DIAL_STRING.fullmatch(bare)
        first = bare if string is None else string[1]
        if self._is_emergency(first):
            if self.emergency:
                return JudgedTarget(shown, emergency=True)
            raise DialRefused(f"{shown} is an emergency number", rule="emergency")
        if any(_matches(pattern, bare, first, *readings) for pattern in self.deny):
            raise DialRefused(f"{shown} is a number that must not be called", rule="deny")
        # A server sends the call to `maddr`, whatever the host is (RFC 3261 section 16.5).
        host = uri.parameter("maddr") or uri.host if isinstance(uri, SipUri) else domain
        if self._is_internal(bare, text, host, domain) or (connected and _may_be_internal(bare)):
            return JudgedTarget(shown)
        if not number:
            raise DialRefused(f"{shown} {why}", rule="internal")
        price = 0.0
        for reading in readings:
            named = shown if reading == number else f"{shown}, read as {shown_number(reading)},"
            self._judge_class(reading, named)
            price = max(price, self._price(reading, named))
        return JudgedTarget(shown, price)

    def comparable_number(self, uri: Uri, *, domain: str) -> str:
        """Return a text that is the same for all ways to write a number: the international form.

        What is no telephone number is returned with its host, in lower case; `domain` is the
        account's own.  Raises ConfigurationError for a number with anything else in it, which a
        server might dial as another one.

        :meta private:
        """
        text = _dialed_text(uri)
        abroad = tuple(each for each in ("+", self.international_prefix) if each)
        if text.startswith(abroad):
            text = text.replace("(0)", "")
        bare = _VISUAL_SEPARATORS.sub("", text)
        digits = _NUMBER.fullmatch(bare) is not None
        if ";" in text or (not digits and not _may_be_internal(bare)):
            raise ConfigurationError(
                f"{shown_number(text)} is no telephone number: write its digits alone"
            )
        number, why = self._international_form(bare)
        if digits and not number and len(bare) > LONGEST_INTERNAL:
            raise ConfigurationError(f"{shown_number(text)} {why}")
        home = f"+{self.country}{self.national_prefix}"
        if self.country and self.national_prefix and number.startswith(home):
            raise ConfigurationError(
                f"{shown_number(text)}: no {self.national_prefix} stands behind the country code"
            )
        host = uri.host if isinstance(uri, SipUri) else domain
        return number or f"{bare}@{host}".lower()

    def _judge_class(self, number: str, shown: str) -> None:
        """Judge a number in its international form.  Raises DialRefused."""
        if is_premium(number) and not self.premium:
            raise DialRefused(f"{shown} is a premium number", rule="premium")
        if is_international(number, self.country) and not self.international:
            where = f"+{self.country}" if self.country else "any country (country is not given)"
            raise DialRefused(f"{shown} is outside of {where}", rule="international")
        if self.allow and not any(_matches(pattern, number) for pattern in self.allow):
            raise DialRefused(f"{shown} is not among the numbers that may be called", rule="allow")

    def _price(self, number: str, shown: str) -> float:
        """Return the money that a minute costs.  Raises DialRefused."""
        known = max((each for each in self.rates if number.startswith(each)), key=len, default=None)
        if known is not None:
            return self.rates[known]
        if self.has_budget:
            raise DialRefused(f"{shown}: nothing says what it costs", rule="rates")
        return 0.0

    def _international_form(self, bare: str) -> tuple[str, str]:
        """Return a number with "+" and country code, or "" and what is wrong with it."""
        if _NUMBER.fullmatch(bare) is None:
            return "", "is no telephone number"
        if not bare.startswith("+"):
            if self.outside_line and not bare.startswith(self.outside_line):
                return "", f"does not begin with {self.outside_line}, for an outside line"
            bare = self._with_country(bare[len(self.outside_line) :])
        if _INTERNATIONAL.fullmatch(bare) is None:
            return "", (
                f'cannot be read as a telephone number: dial it with "+" and country code (at most'
                f" {LONGEST_E164} digits), or with the prefixes of dial_policy"
            )
        return bare, ""

    def _readings(self, number: str) -> tuple[str, ...]:
        """Return a number in its international form, and what else its digits may be dialed as.

        A server that dials a number of its own country within that country puts the national prefix
        in the place of "+" and country code.  With a zero behind the code, "+49 0 1 212…", it then
        dials the USA.
        """
        found = [number]
        prefix, home = self.international_prefix, f"+{self.country}"
        while prefix and self.country and found[-1].startswith(home):
            rest = found[-1].removeprefix(home)
            dialed = (each + rest for each in ("", self.national_prefix))
            abroad = next((each for each in dialed if each.startswith(prefix)), None)
            if abroad is None:
                break
            found.append(f"+{abroad.removeprefix(prefix)}")
        return tuple(found)

    def _with_country(self, digits: str) -> str:
        """Return dialed digits with "+" and country code; without "+" if no prefix tells the
        country.
        """
        if self.international_prefix and digits.startswith(self.international_prefix):
            return f"+{digits[len(self.international_prefix) :]}"
        if self.country == "1" and len(digits) == 10:
            return f"+1{digits}"
        if self.national_prefix and digits.startswith(self.national_prefix):
            rest = digits[len(self.national_prefix) :]
            return f"+{self.country}{rest}" if self.country else digits
        if self.national_prefix:
            return digits
        if not self.international_prefix:
            return f"+{digits}"
        return f"+{self.country}{digits}" if self.country else digits

    def _is_emergency(self, bare: str) -> bool:
        """Whether a number is an emergency number, with or without the prefixes before it."""
        known = emergency_numbers(self.country)
        outside = bare.removeprefix(self.outside_line)
        home = (f"{prefix}{self.country}" for prefix in ("+", self.international_prefix) if prefix)
        national = (outside.removeprefix(each) for each in home if outside.startswith(each))
        return any(each in known for each in (bare, outside, *national))

    def _is_internal(self, bare: str, text: str, host: str, domain: str) -> bool:
        if not _may_be_internal(bare):
            return False
        for entry in self.internal:
            user, at, place = entry.rpartition("@")
            where = place if at else domain
            if where.lower() == host.lower() and _matches(user if at else place, bare, text):
                return True
        return False


def shown_number(text: str) -> str:
    """Return a number as logs and errors show it: printable, short, and without its middle."""
    printable = "".join(c if c.isprintable() else "?" for c in text[:40])
    return _HIDDEN_DIGITS.sub("***", _VISUAL_SEPARATORS.sub("", printable)) or "an address"


def _dialed_text(uri: Uri) -> str:
    """Return the user part that a URI calls, or the number of a tel URI, without escapes."""
    if isinstance(uri, SipUri):
        return unescape(uri.user or "").decode("utf-8", "replace")
    return unescape(uri.rest).decode("utf-8", "replace") if uri.scheme == "tel" else ""


def _matches(pattern: str, *texts: str) -> bool:
    compiled = compile_pattern(pattern)
    return any(compiled.fullmatch(text) is not None for text in texts if text)


def _may_be_internal(bare: str) -> bool:
    """Whether a user part without separators is no telephone number, nor a code before one.

    A number with pauses in it, "0049900123456p", is no name: a server may dial its digits.
    """
    if bare.startswith("+") or any(each.isdigit() and not each.isascii() for each in bare):
        return False
    digits = sum(character.isdigit() for character in bare)
    named = _LETTER.search(bare) is not None and _DIAL_STRING.fullmatch(bare) is None
    return digits <= LONGEST_INTERNAL or named


def _check_amount(key: str, value: float) -> None:
    if not math.isfinite(value) or value < 0:
        raise ConfigurationError(f"{key}: {value:g} is no amount of 0 or more")

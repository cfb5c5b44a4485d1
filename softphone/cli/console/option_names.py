"""Replaces Python names and account keys in error texts by the options of the command line.

An error is read by users of the library and of graphical programs, too: its text and its hint name
settings.  Only this module turns those into command line options.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

OPTION_PHRASES: Mapping[str, str] = {
    "through unknown_certificate": "with --accept-fingerprint",
    "its SHA-256 through TrustStore.add_pin:": "it where it is shown: --accept-fingerprint",
    "(policy.allow)": "(--allow local-revocation, policy.allow in an account file)",
    "name its file of certificates": "name its file with --ca",
    "(tls.ca)": "(--ca FILE, tls.ca in an account file)",
    "in the log of softphone.sip": "with --ladder or --capture",
    "step by step: server, certificate, credentials": "with softphone doctor",
    "the mode that the message names": "that mode: softphone fips run, as softphone fips status"
    " says",
    "set take_over = true in the account's [device]": "softphone boot --take-over, or take_over"
    " = true in the account's [device]",
    "enroll it again (CAPF)": "enroll it again (softphone enroll)",
    "there is no token: sign in first": "there is no token: softphone sso sign-in gets one",
    "(Phone.boot)": "(softphone boot)",
    "as BootPlan.string": "with --auth-string",
    "(Bootstrap.pins)": "(--pin)",
    "(Bootstrap.first_use)": "(--trust-on-first-use)",
    "(TrustListStore.reset)": "(softphone trust reset)",
    "as `module`": "with --module FILE",
    "list_sound_devices() gives": "`softphone devices` lists",
    "(see the account file's documentation)": "(the rest is in the docs), or softphone lab --dir"
    " lab, which writes lab/alice.toml for itself",
}
"""Each phrase of the library and its replacement on the command line."""

PIN_PHRASES: Mapping[str, str] = {
    "into tls.ca, or accept this one through unknown_certificate": "into --ca FILE, or give the"
    " SHA-256 of this one with --pin (tls.ca and tls.pin in an account file)",
}
"""Likewise, for the commands that have --pin and never ask about a certificate."""


def _phrases(phrases: Mapping[str, str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, phrases)))


_OPTION, _PIN = _phrases(OPTION_PHRASES), _phrases(PIN_PHRASES)


def name_options(text: str) -> str:
    """Return a text of the library with the options of the command line."""
    return _OPTION.sub(lambda found: OPTION_PHRASES[found[0]], text)


def name_pin_options(text: str) -> str:
    """Return a text of the library with the options of a command that has --pin."""
    return name_options(_PIN.sub(lambda found: PIN_PHRASES[found[0]], text))

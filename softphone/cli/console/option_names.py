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
    "(tls.ca)": "(--ca FILE, tls.ca in an account file)",
    "in the log of softphone.sip": "with --ladder or --capture",
    "step by step: server, certificate, credentials": "with softphone doctor",
    "the mode that the message names": "that mode: softphone fips run, as softphone fips status"
    " says",
    "set take_over = true in the account's [device]": "softphone boot --take-over, or take_over"
    " = true in the account's [device]",
    "enroll it again (CAPF)": "enroll it again (softphone enroll)",
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

_PHRASE = re.compile("|".join(map(re.escape, OPTION_PHRASES)))


def name_options(text: str) -> str:
    """Return a text of the library with the options of the command line."""
    return _PHRASE.sub(lambda found: OPTION_PHRASES[found[0]], text)

"""Units and separators of RFC 3261's grammar, and of those that resemble it."""

from __future__ import annotations

UNITS = [
    *("a", "1", "0", "-", "*", "%", "%41", "ä", "a.b", "[::1]", "[", "\\", '"', '"a"', '""'),
    *('\\"', '"\\', '"\\\x01"', "\x01", "(a)", "(", "<a>", "<sip:a@b>", "<", "<>", "sip:a@b"),
    *("a=b", 'a="b"', "a=", 'a="', "a/b", "SIP/2.0/UDP a", "Digest a", '399 a "b"', "security"),
]
SEPARATORS = [
    *("", " ", "\t", "  ", " \t ", ",", ", ", " ,", ";", "; ", " ;", "=", " = ", "?", "&", "@"),
    *(":", "/", "\\", '"', "'", "<", ">", "(", ")", "[", "]", "{", "}", "|", "\r\n ", "\r\n\t\t"),
]
ALONE = [*UNITS, *SEPARATORS[1:]]
# Blanks at the end of a value are stripped, and many patterns go wrong only at what follows.
ENDINGS = ("", "z", "1", ",z", ";", '"', ">")

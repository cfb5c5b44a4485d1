"""The search for a pattern in a far end's text, in time linear in its length.

Translating the patterns of POSIX (IEEE Std 1003.1, section 9.4) is `softphone.load.sipp.pattern`'s.
"""

from __future__ import annotations

from softphone.load.sipp.search.linear_search import PatternParser, Program

__all__ = ["PatternParser", "Program"]

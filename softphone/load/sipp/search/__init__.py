"""The search for a pattern in time linear in the text, which a far end has written."""

from __future__ import annotations

from softphone.load.sipp.search.linear_search import PatternParser, Program

__all__ = ["PatternParser", "Program"]

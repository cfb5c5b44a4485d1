"""A load run while it goes on: its figures for the terminal, and the page of `--ui` in a browser.

`LiveRun` adds up the figures of a run; `LoadPage` serves them, with buttons that stop the run and
change its load.  `softphone.web` decides who may see the page; the runs themselves, and what may be
changed of them, are in `softphone.load.distribute`.

Implements no standard: the page is HTML with SVG and server-sent events, and loads nothing from
elsewhere.
"""

from __future__ import annotations

from softphone.load.live.live_run import OWN_PROCESSOR, LiveRun, live_figures
from softphone.load.live.load_page import LoadPage

__all__ = ["OWN_PROCESSOR", "LiveRun", "LoadPage", "live_figures"]

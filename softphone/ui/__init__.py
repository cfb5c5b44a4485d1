"""A page for a person at a phone: accounts, calls with lock and why, contacts, chat, voicemail.

`PhonePage` owns a phone and serves its page on loopback; `softphone.web` decides who may see it.
It is an example of embedding: of softphone it uses what applications may use, and nothing else
(`tests/ui` holds that).  Sound is that of this machine's sound card, not of the browser.

Implements no standard: the page is HTML with server-sent events, and loads nothing from elsewhere.
"""

from __future__ import annotations

from softphone.ui.phone_page import PageConfig, PhonePage

__all__ = ["PageConfig", "PhonePage"]

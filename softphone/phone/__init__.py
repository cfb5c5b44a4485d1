"""The entry point of an application: one phone with its media engine, resolver and accounts.

It opens, connects and closes what other packages implement: accounts (`softphone.account`), devices
(`softphone.device`), media (`softphone.media`).  Its modules `directories` and `messaging` are
imported on first use only: they load `softphone.contacts` and `softphone.messaging`, whose
libraries are optional.  The command line is `softphone.cli`.

No standard: the protocols are in the packages below.
"""

from __future__ import annotations

from softphone.phone.phone import Phone

__all__ = ["Phone"]

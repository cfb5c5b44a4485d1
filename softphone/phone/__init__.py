"""The entry point of an application: one phone with its media engine, resolver and accounts.

It opens, connects and closes what other packages implement: accounts (`softphone.account`), devices
(`softphone.device`), media (`softphone.media`).  Its modules `directories`, `messaging` and
`voicemail` are imported on first use only: they load `softphone.contacts`, `softphone.messaging`
and `softphone.voicemail`, which few phones need.  The command line is `softphone.cli`.

No standard: the protocols are in the packages below.
"""

from __future__ import annotations

from softphone.phone.phone import Phone

__all__ = ["Phone"]

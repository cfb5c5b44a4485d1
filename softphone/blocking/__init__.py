"""The phone for synchronous programs: the classes of `softphone`, without `async` and `await`.

    from softphone import load_account
    from softphone.blocking import Phone

    with Phone() as phone, phone.register(load_account("alice.toml").config) as account:
        call = account.dial("600").answered(timeout=30)
        call.audio.play("welcome.wav")
        call.audio.played()
        call.hangup()

All phones of a process share one event loop in one thread, which begins with the first and ends
with the last.  Every method may be called from any thread; it waits until it is done.  Ctrl-C
cancels what a method waits for, and `timeout` limits the wait.  Events are iterators; there are no
callbacks, so an unknown certificate of a server is refused without a question.  `wrappers` is made
from the asynchronous classes by `python -m tests.blocking.generate --write`.

It has no messages, directories, voicemail or video; these are for asynchronous programs
(`softphone`).

No standard: the protocols are in the packages below.
"""

from __future__ import annotations

from softphone.blocking.background import EventStream, timeout
from softphone.blocking.wrappers import (
    Account,
    AudioStream,
    Call,
    Conference,
    Detection,
    IncomingCall,
    OutgoingCall,
    Phone,
    PlaybackMark,
    PresenceWatch,
    Recording,
    Watch,
)

__all__ = [
    "Account",
    "AudioStream",
    "Call",
    "Conference",
    "Detection",
    "EventStream",
    "IncomingCall",
    "OutgoingCall",
    "Phone",
    "PlaybackMark",
    "PresenceWatch",
    "Recording",
    "Watch",
    "timeout",
]

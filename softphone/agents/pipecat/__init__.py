"""A transport for pipecat 1.x whose other end is a SIP call: sound, digits, transfers.

`SoftphoneTransport` stands where a pipeline has another transport of pipecat's, with the events and
methods that Daily's transport has for dial-in and dial-out.  `main` runs a bot's file as pipecat's
own runner does, with a call in place of a room.  What the bot says and understands is pipecat's;
media, security and dial policy are those of the account that the call belongs to.

DTMF by RFC 4733, transfers by REFER (RFC 3515), as `softphone.call` has them.  Without pipecat,
importing a name raises ModuleNotFoundError, which says what to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softphone.extras import has_module, install_command

if TYPE_CHECKING:
    from softphone.agents.pipecat.bot_runner import (
        SoftphoneRunnerArguments,
        create_transport,
        main,
        run_bots,
    )
    from softphone.agents.pipecat.call_frames import (
        CallEventFrame,
        CallHoldFrame,
        CallMetricsData,
        CallResumeFrame,
        CallTransferFrame,
        PlaybackInterruptedFrame,
    )
    from softphone.agents.pipecat.call_session import SoftphoneParams
    from softphone.agents.pipecat.transport import SoftphoneTransport

__all__ = [
    "CallEventFrame",
    "CallHoldFrame",
    "CallMetricsData",
    "CallResumeFrame",
    "CallTransferFrame",
    "PlaybackInterruptedFrame",
    "SoftphoneParams",
    "SoftphoneRunnerArguments",
    "SoftphoneTransport",
    "create_transport",
    "main",
    "run_bots",
]

_MODULES = {
    "call_frames": __all__[:6],
    "call_session": ["SoftphoneParams"],
    "transport": ["SoftphoneTransport"],
    "bot_runner": ["SoftphoneRunnerArguments", "create_transport", "main", "run_bots"],
}


def __getattr__(name: str) -> Any:
    """Import what needs pipecat on its first use (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            if not has_module("pipecat"):
                sentence = f"a bot of pipecat's needs pipecat: {install_command('pipecat')}"
                raise ModuleNotFoundError(sentence, name="pipecat")
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Connects a call to an `AgentSession` of livekit-agents, without a LiveKit room.

`CallAudioInput` and `CallAudioOutput` are what an `AgentSession` hears and speaks with, and
`call_tools` gives a model functions that are bound to the call.  A pause keeps unsent sound; an
interruption drops it within one 20 ms frame.  The position that is reported is what was really
sent, so that the agent knows what was heard.  No room is simulated: digits by RFC 4733, transfers
by REFER (RFC 3515) and states are those of `softphone.call`, and the account's dial policy judges
whom the model may transfer to.  It is the extra `softphone[livekit]`.

Nothing else imports this package.  Without livekit-agents, importing a name raises
ModuleNotFoundError, which says what to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softphone.extras import has_module, install_command

if TYPE_CHECKING:
    from softphone.agents.livekit.bound_tools import call_tools
    from softphone.agents.livekit.call_audio import CallAudioInput, CallAudioOutput

__all__ = ["CallAudioInput", "CallAudioOutput", "call_tools"]


def __getattr__(name: str) -> Any:
    """Import what needs livekit-agents on its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not has_module("livekit"):
        sentence = f"a session of livekit-agents needs that: {install_command('livekit')}"
        raise ModuleNotFoundError(sentence, name="livekit")
    # A module named `call_tools` would hide the function in the package.
    module = "bound_tools" if name == "call_tools" else "call_audio"
    return getattr(import_module(f"{__name__}.{module}"), name)

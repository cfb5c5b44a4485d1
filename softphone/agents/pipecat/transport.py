"""The transport that a pipeline is built with: its two processors, its events, its methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pipecat.transports.base_transport import BaseTransport

from softphone.account import Account
from softphone.agents.pipecat.call_session import CallSession, SoftphoneParams, check_params
from softphone.agents.pipecat.input_transport import SoftphoneInputTransport
from softphone.agents.pipecat.output_transport import SoftphoneOutputTransport
from softphone.call import Call, IncomingCall
from softphone.errors import SoftphoneError

EVENTS = (
    *("on_joined", "on_connected", "on_client_connected", "on_client_disconnected"),
    *("on_first_participant_joined", "on_participant_joined", "on_participant_left"),
    *("on_dialin_ready", "on_dialin_connected", "on_dialin_stopped"),
    *("on_dialin_error", "on_dialin_warning"),
    *("on_dialout_connected", "on_dialout_answered", "on_dialout_stopped"),
    *("on_dialout_error", "on_dialout_warning", "on_dtmf_event"),
)
"""The events: names and arguments are those of Daily's transport."""


class SoftphoneTransport(BaseTransport):
    """A transport over one call.

    `party` is an incoming call, which is answered when the pipeline is ready; a call that is up and
    that nothing was read from or written to; or an account, which `start_dialout` dials with.
    `EndFrame` hangs up after the last word, `CancelFrame` at once.  Raises ConfigurationError for
    params that a call cannot have.
    """

    def __init__(
        self,
        party: IncomingCall | Call | Account,
        params: SoftphoneParams | None = None,
        *,
        input_name: str | None = None,
        output_name: str | None = None,
    ) -> None:
        super().__init__(input_name=input_name, output_name=output_name)
        given = params or SoftphoneParams()
        check_params(given)
        self._session = CallSession(party, given, self._call_event_handler)
        self._input: SoftphoneInputTransport | None = None
        self._output: SoftphoneOutputTransport | None = None
        for name in EVENTS:
            self._register_event_handler(name)

    @property
    def call(self) -> Call | None:
        """The call, with all that softphone knows of it; None before it is up."""
        return self._session.call

    def input(self) -> SoftphoneInputTransport:
        """Return the processor that gives what the far end says."""
        if self._input is None:
            self._input = SoftphoneInputTransport(self._session, name=self._input_name)
            self._input.alone = self._output is None
        return self._input

    def output(self) -> SoftphoneOutputTransport:
        """Return the processor that says what the bot says."""
        if self._output is None:
            self._output = SoftphoneOutputTransport(self._session, name=self._output_name)
        if self._input is not None:
            self._input.alone = False
        return self._output

    def get_client_id(self, client: Any) -> str:
        """Return the id of a client, as its handlers get it: the Call-ID."""
        return str(client["id"])

    # Commands, each at once: what the bot still has to say does not come first --------------------

    async def transfer(self, target: str) -> None:
        """Transfer the far end, as `Call.transfer` does.  Push a `CallTransferFrame` to talk first.

        Raises what it does.
        """
        await self._session.up().transfer(target)

    async def hold(self) -> None:
        """Put the far end on hold.  Raises what `Call.hold` does."""
        await self._session.up().hold()

    async def resume(self) -> None:
        """Take the far end off hold.  Raises what `Call.resume` does."""
        await self._session.up().resume()

    # Those of Daily's transport, which give an error as a text ------------------------------------

    async def start_dialout(self, settings: Mapping[str, Any]) -> tuple[str, str | None]:
        """Dial `phoneNumber` or `sipUri`; `headers` go into the INVITE.

        Returns the Call-ID and None, or "" and what was wrong; `on_dialout_error` has it, too.
        Other settings, such as a caller's number, are the account's affair.
        """
        target = settings.get("sipUri") or settings.get("phoneNumber")
        if not target:
            return "", "dial-out needs phoneNumber or sipUri"
        session = ""

        async def dial() -> None:
            nonlocal session
            session = await self._session.dial(str(target), settings.get("headers") or {})

        error = await _error_of(dial)
        if error is not None:
            data = {"sessionId": "", "errorMsg": error}
            await self._call_event_handler("on_dialout_error", data)
        return session, error

    async def stop_dialout(self, participant_id: str) -> str | None:
        """Cancel or end the call; returns None, or what was wrong."""
        self._session.hang_up()
        return None

    async def send_dtmf(self, settings: Mapping[str, Any]) -> str | None:
        """Send `tones`, each for `digitDurationMs`; returns None, or what was wrong."""
        tones, duration = str(settings.get("tones", "")), settings.get("digitDurationMs") or 100

        async def send() -> None:
            await self._session.up().send_digits(tones, duration_ms=int(duration))

        return await _error_of(send)

    async def sip_refer(self, settings: Mapping[str, Any]) -> str | None:
        """Transfer the far end to `toEndPoint`; returns None, or what was wrong."""
        return await _error_of(lambda: self.transfer(str(settings.get("toEndPoint", ""))))

    sip_call_transfer = sip_refer


async def _error_of(command: Callable[[], Awaitable[None]]) -> str | None:
    """Carry out a command; return the text of its error, None without one."""
    try:
        await command()
    except SoftphoneError as error:
        return str(error)
    return None

"""The voice mailbox of the page: its messages, and one of them played by the sound card."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from softphone import Phone, Source
from softphone.errors import SoftphoneError
from softphone.media.audio.sound_device import play_sound
from softphone.ui.call_sound import CallSound
from softphone.ui.request_fields import check_names, flag_field, sentence, text_field
from softphone.ui.service_row import service_row
from softphone.voicemail import MailboxCounts, VoicemailClient, VoicemailConfig, VoiceMessage
from softphone.web import BadRequest

MOST_SHOWN = 50
LONGEST_ID = 200
RATE_HZ = 48_000

Play = Callable[[Source, str, int], Coroutine[Any, Any, None]]


class Mailbox:
    """One voice mailbox; `changed` is called whenever something has changed.

    `before_secure` is called before a secure message is played, to keep it out of core dumps.
    """

    def __init__(
        self,
        config: VoicemailConfig | None,
        phone: Phone,
        sound: CallSound,
        changed: Callable[[], None],
        *,
        before_secure: Callable[[], None] = lambda: None,
        play: Play = play_sound,
    ) -> None:
        self._config = config
        self._phone = phone
        self._sound = sound
        self._changed = changed
        self._before_secure = before_secure
        self._play = play
        self._client: VoicemailClient | None = None
        self._counts: MailboxCounts | None = None
        self._answered = False
        self._version = 0
        self._task: asyncio.Task[None] | None = None
        self._playing: asyncio.Task[None] | None = None
        self._played = ""
        self.error: SoftphoneError | None = None
        self.actions = {
            "voicemail": self.show_messages,
            "voicemail-play": self.play,
            "voicemail-stop": self.stop,
            "voicemail-mark": self.mark,
            "voicemail-again": self.look_again,
        }

    @property
    def name(self) -> str:
        """The mailbox and its server; "" without one."""
        return "" if self._config is None else f"{self._config.user} at {self._config.server}"

    def follow_client(self, client: VoicemailClient, *, asked: bool) -> None:
        """Take over the mailbox of a user's sign-in; `asked` is whether it has answered then."""
        self._config, self._client, self._answered = client.config, client, asked
        self._follow(client)

    def start(self) -> None:
        """Open the mailbox and follow its counts, where there is one."""
        if self._config is not None:
            self._client = self._phone.open_voicemail(self._config)
            self._follow(self._client)

    def _follow(self, client: VoicemailClient) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(client))

    async def close(self) -> None:
        """Stop playing, and stop following the mailbox."""
        tasks = [each for each in (self._task, self._playing) if each is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, client: VoicemailClient) -> None:
        try:
            async for counts in client.changes():
                self._counts, self._answered, self.error = counts, True, None
                self._version += 1
                self._changed()
        except SoftphoneError as error:
            self.error = error
            self._changed()

    def service(self) -> dict[str, Any] | None:
        """Return the service as JSON values; None without a mailbox."""
        if self._config is None:
            return None
        state, lock, why = "connecting", None, "nothing was asked yet"
        if self.error is not None:
            state, why = "failed", sentence(self.error)
        elif self._answered:
            state, lock = "ready", True
            why = "HTTPS, and the certificate of the server was verified"
        again = self.error is not None
        return service_row("voicemail", self.name, state, lock=lock, why=why, again=again)

    def to_plain(self) -> dict[str, Any]:
        """Return the counts and what is being played; `version` changes with the messages."""
        counts = self._counts or MailboxCounts(0, 0)
        return {
            "there": self._config is not None,
            "new": counts.new,
            "old": counts.old,
            "version": self._version,
            "playing": self._played,
        }

    def _opened(self) -> VoicemailClient:
        if self._client is None:
            raise BadRequest(
                "there is no mailbox: [voicemail] of the account file names one, or a user's"
                " sign-in finds it"
            )
        return self._client

    async def show_messages(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the messages of the inbox, new ones first."""
        check_names(given)
        found: list[dict[str, Any]] = []
        async for message in self._opened().messages():
            if len(found) == MOST_SHOWN:
                return {"messages": found, "more": True}
            found.append(_plain(message))
        return {"messages": found, "more": False}

    async def look_again(self, given: Mapping[str, Any]) -> None:
        """Ask the mailbox again, after it has refused."""
        check_names(given)
        client = self._opened()
        if self.error is None:
            raise BadRequest("the mailbox is being asked already")
        self.error = None
        self._follow(client)
        self._changed()

    async def play(self, given: Mapping[str, Any]) -> None:
        """Play a message by the sound card of this machine, from memory: {"id"}."""
        check_names(given, "id")
        identity = text_field(given, "id", most=LONGEST_ID)
        client = self._opened()
        if self._sound.problem or self._sound.device is None:
            raise BadRequest(f"there is no sound: {self._sound.problem}")
        await self.stop({})
        message = await client.message(identity)
        if message.secure:
            self._before_secure()
        self._played = identity
        playing = asyncio.get_running_loop().create_task(self._sound_out(client, identity))
        self._playing = playing
        self._changed()
        try:
            await asyncio.shield(playing)
        except asyncio.CancelledError:
            if not playing.cancelled():
                raise  # it is this request that ends, and the sound goes on

    async def _sound_out(self, client: VoicemailClient, identity: str) -> None:
        device = self._sound.device or ""
        try:
            with await client.sound(identity) as sound:
                if sound.secure:
                    self._before_secure()
                await self._play(sound.source(RATE_HZ), device, RATE_HZ)
        finally:
            self._played = ""
            self._changed()

    async def stop(self, given: Mapping[str, Any]) -> None:
        """Stop playing."""
        check_names(given)
        playing, self._playing = self._playing, None
        if playing is not None:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

    async def mark(self, given: Mapping[str, Any]) -> None:
        """Mark a message as read, or as new: {"id", "read"}."""
        check_names(given, "id", "read")
        read = flag_field(given, "read")
        await self._opened().mark_read(text_field(given, "id", most=LONGEST_ID), read=read)
        self._version += 1
        self._changed()


def _plain(message: VoiceMessage) -> dict[str, Any]:
    arrived = message.arrived
    return {
        "id": message.id,
        "subject": message.subject,
        "peer": message.peer,
        "authenticated": message.authenticated,
        "arrived": "" if arrived is None else arrived.isoformat(timespec="seconds"),
        "seconds": round(message.duration),
        "read": message.read,
        "urgent": message.urgent,
        "secure": message.secure,
        "private": message.private,
    }

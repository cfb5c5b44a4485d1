"""The sound of a message, in memory, wiped when it is closed."""

from __future__ import annotations

import io
from types import TracebackType
from typing import Self

from softphone.errors import ConfigurationError
from softphone.media.audio import WavSource


class WipedBuffer(io.BytesIO):
    """A file in memory whose octets are overwritten when it is closed."""

    def close(self) -> None:
        """Overwrite and release the octets; a second call does nothing."""
        if not self.closed:
            with self.getbuffer() as octets:
                octets[:] = bytes(len(octets))
        super().close()


class MessageSound:
    """The sound of one message, a context manager; leaving it wipes the sound.

    `secure` sound may be played and must not be stored: `VoicemailClient.save` refuses it.
    Neither `secure` nor `private` sound may be played to others.  Both flags are what the server
    said after the sound had been fetched.
    """

    def __init__(self, octets: WipedBuffer, *, secure: bool, private: bool) -> None:
        self._octets = octets
        self.secure = secure
        """Whether the sound must not be stored."""
        self.private = private
        """Whether the sound is for its recipient only."""

    def __repr__(self) -> str:
        return f"<MessageSound {'secure ' if self.secure else ''}of {len(self)} octets>"

    def __len__(self) -> int:
        return 0 if self._octets.closed else self._octets.getbuffer().nbytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def octets(self) -> bytes:
        """The whole WAV file.

        :meta private:
        """
        return self._octets.getvalue()

    def source(self, clock_rate_hz: int = 8000) -> WavSource:
        """Return the sound as mono samples at `clock_rate_hz`; at its end it is wiped.

        It is read once: from the same memory, so that closing one closes the other.  Raises
        ConfigurationError for a format that cannot be read, such as G.729, which it names.
        """
        if self._octets.closed:
            raise ConfigurationError("the sound of the message has been wiped")
        self._octets.seek(0)
        return WavSource(self._octets, clock_rate_hz)

    def close(self) -> None:
        """Wipe the sound; a second call does nothing."""
        self._octets.close()

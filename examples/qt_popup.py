"""A window that pops up when somebody calls: who it is, how secure the call is, and buttons.

    pip install PySide6-Essentials qasync           # beside softphone
    softphone lab --dir lab                         # outside the clone; copy this file beside lab/
    python qt_popup.py lab/bob.toml
    softphone call bob --account lab/alice.toml     # and press Answer, or Decline

Without a screen, `QT_QPA_PLATFORM=offscreen` in the environment lets it run unseen: some
code of yours then presses the button with the object name "answer", as its test does.

Qt and the phone share one thread: qasync makes Qt's event loop one of asyncio, so that a slot may
start a coroutine, and events of a call change widgets without any lock.
"""

import asyncio
import signal
import sys
from contextlib import suppress

from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget
from qasync import QEventLoop

from softphone import (
    Call,
    EchoSource,
    IncomingCall,
    Phone,
    SecurityLevel,
    SoftphoneError,
    load_account,
)
from softphone.events import (
    CallAnswered,
    CallEnded,
    EndedBy,
    PeerChanged,
    PeerNamed,
    SecurityChanged,
)
from softphone.icons import Icon, icon_of_call

LAST_LINE_SECONDS = 3.0
"""How long the window says how the call ended."""

WORDS = {
    EndedBy.LOCAL: "ended",
    EndedBy.REMOTE: "hung up by the caller",
    EndedBy.POLICY: "ended: not secure enough",
    EndedBy.TIMEOUT: "the caller has gone",
    EndedBy.TRANSPORT: "the connection was lost",
}


def explain(ended: CallEnded, *, answered: bool) -> str:
    """Say how a call ended, in a line for the window."""
    if ended.by is EndedBy.REMOTE and not answered:
        return "missed"
    words = WORDS.get(ended.by, ended.by.value)
    return f"{words}: {ended.reason}" if ended.reason else words


class Popup(QWidget):
    """The window of one call, from its ringing to its end."""

    def __init__(self, incoming: IncomingCall) -> None:
        super().__init__(None, Qt.WindowType.WindowStaysOnTopHint)
        self.setWindowTitle("Call")
        self.incoming = incoming
        self.call: Call | None = None
        self.answering: asyncio.Future[None] | None = None
        self.who, self.lock, self.state = QLabel(), QLabel(), QLabel("rings")
        self.picture = QLabel()
        self.accept = QPushButton("Answer", objectName="answer")
        self.refuse = QPushButton("Decline", objectName="decline")
        self.accept.clicked.connect(self.begin_answer)
        self.refuse.clicked.connect(self.hang_up)
        column, security, buttons = QVBoxLayout(self), QHBoxLayout(), QHBoxLayout()
        security.addWidget(self.picture)
        security.addWidget(self.lock, 1)
        column.addWidget(self.who)
        column.addLayout(security)
        column.addWidget(self.state)
        column.addLayout(buttons)
        buttons.addWidget(self.accept)
        buttons.addWidget(self.refuse)
        self.show_peer()

    def show_peer(self) -> None:
        """Show who calls and how secure the call is; both may change during it."""
        peer = self.incoming.peer
        name, number = peer.display_name or "", peer.uri.user or ""
        self.who.setText(number if name == number else f"{name} {number}".strip())
        security = self.incoming.security
        # The closed lock: encrypted to the far end, not only to the server.
        icon = icon_of_call(security)
        self.picture.setPixmap(self.draw(icon))
        self.picture.setAccessibleName(icon.label)
        known = security.level is not SecurityLevel.UNKNOWN  # it is not while the call only rings
        self.lock.setText(security.level.value if known else "")
        # Why there is no lock, in sentences that may be shown.
        self.lock.setToolTip("\n".join(each.explanation for each in security.shortfalls))

    def draw(self, icon: Icon) -> QPixmap:
        """Draw an icon in the color of the text and as high as it."""
        height = self.fontMetrics().height()
        color = self.palette().windowText().color().name()
        picture = QPixmap()
        picture.loadFromData(icon.svg.replace("currentColor", color).encode(), "SVG")
        return picture.scaledToHeight(height, Qt.TransformationMode.SmoothTransformation)

    def begin_answer(self) -> None:
        """Answer once, however often the button is clicked."""
        self.accept.setEnabled(False)
        self.answering = asyncio.ensure_future(self.answer())

    async def answer(self) -> None:
        """Answer; here the caller hears themselves, where your program has its audio device."""
        try:
            self.call = await self.incoming.answer()
            echo = EchoSource(16000)
            self.call.audio.record(echo)
            self.call.audio.play(echo)
        except SoftphoneError as error:  # the caller gave up at that moment
            self.state.setText(str(error))

    def hang_up(self) -> None:
        """Refuse the call, or end it."""
        if self.call is not None:
            self.call.hangup()
        elif self.incoming.unanswered:
            self.incoming.reject(603)

    async def follow(self) -> None:
        """Show what happens to the call, at last how it ended, and close after a moment."""
        async for event in self.incoming.events():
            match event:
                case PeerChanged() | PeerNamed() | SecurityChanged():
                    self.show_peer()
                case CallAnswered():
                    self.show_peer()
                    self.state.setText("answered")
                    self.accept.hide()
                    self.refuse.setText("Hang up")
                case CallEnded():
                    self.state.setText(explain(event, answered=self.call is not None))
                    self.accept.hide()
                    self.refuse.hide()
        await asyncio.sleep(LAST_LINE_SECONDS)
        self.close()
        self.deleteLater()  # not when it is closed: until here its labels are written

    def closeEvent(self, event: object) -> None:
        """End the call whose window is closed."""
        self.hang_up()


async def main(path: str) -> None:
    """Show a window for each call, until the last one is told to quit (Ctrl-C)."""
    async with Phone() as phone:
        account = await phone.register(load_account(path).config)
        print(f"{account.aor} waits for calls", flush=True)
        async with asyncio.TaskGroup() as calls:
            async for incoming in account.incoming():
                incoming.ring()
                popup = Popup(incoming)
                popup.show()
                popup.raise_()
                calls.create_task(popup.follow())


if __name__ == "__main__":
    application = QApplication(sys.argv)
    application.setQuitOnLastWindowClosed(False)
    with QEventLoop(application) as loop:
        program = loop.create_task(main(sys.argv[1] if len(sys.argv) > 1 else "lab/bob.toml"))
        # Left to Python, Ctrl-C would end whatever callback of Qt runs at that moment.
        with suppress(NotImplementedError):  # on Windows
            loop.add_signal_handler(signal.SIGINT, program.cancel)
        try:
            loop.run_until_complete(program)
        except (asyncio.CancelledError, KeyboardInterrupt):
            print("goodbye")
        except SoftphoneError as error:  # not registered: the text says why, and what to do
            sys.exit(str(error))

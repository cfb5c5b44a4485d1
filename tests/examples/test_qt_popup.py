"""The Qt window that pops up; `make examples` runs this with its packages, without a screen."""

from __future__ import annotations

import asyncio
import importlib.util

import pytest

from softphone import SoftphoneError
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("PySide6") and importlib.util.find_spec("qasync")),
    reason="needs PySide6-Essentials and qasync: make examples",
)

USER = """
import asyncio, runpy, sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QPushButton

def press():
    for window in QApplication.topLevelWidgets():
        button = window.findChild(QPushButton, sys.argv[2])
        if button is not None and button.isVisible() and button.isEnabled():
            print("pressed", window.who.text(), window.state.text(), flush=True)
            button.click()
            button.click()  # a user who clicks twice
        words = window.state.text() if hasattr(window, "state") else ""
        if sys.argv[3:] and words.startswith(sys.argv[3]) and window.isVisible():
            print("closed", flush=True)
            window.close()
    QTimer.singleShot(100, press)

def report():
    windows = [w for w in QApplication.topLevelWidgets() if hasattr(w, "lock")]
    shown = [window for window in windows if window.isVisible()]
    for window in shown:
        drawn = not window.picture.pixmap().isNull() and window.picture.accessibleName()
        print("shown", drawn, "|", window.lock.text(), window.state.text(), flush=True)
    if not windows:
        print("nothing shown", flush=True)
    QTimer.singleShot(100, report)

init = QApplication.__init__
def start(self, *arguments):
    init(self, *arguments)
    QTimer.singleShot(100, press)
    QTimer.singleShot(100, report)
QApplication.__init__ = start
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


@pytest.fixture
def popup(run, lab, tmp_path):
    """Run the program with a user who presses the button of a name as soon as it is there."""
    (tmp_path / "user.py").write_text(USER)

    def start(button: str, *closes_at: str):
        return run(
            tmp_path / "user.py",
            "{examples}/qt_popup.py",
            lab.accounts["bob"],
            button,
            *closes_at,
            QT_QPA_PLATFORM="offscreen",
            PYTHONUTF8="1",
        )

    return start


async def test_a_window_pops_up_is_answered_and_closes_with_the_call(popup, account_of):
    async with popup("answer") as program:
        await program.line("waits for calls")
        alice = await account_of("alice")
        async with alice.dial("bob") as outgoing:
            assert await program.line("pressed") == "pressed alice rings"
            call = await outgoing.answered(timeout=PATIENCE)
            # The far end's own leg may be known a moment later: until then no lock is shown.
            await program.line("shown encrypted | encrypted answered")
            call.hangup()
        await program.line("hung up by the caller")
        await program.line("nothing shown")
        program.stop()
        assert await program.ended() == 0
        assert sum(line.startswith("pressed") for line in program.printed) == 1


async def test_ctrl_c_ends_it_while_a_call_rings(popup, account_of):
    async with popup("nothing") as program:
        await program.line("waits for calls")
        alice = await account_of("alice")
        async with alice.dial("bob") as outgoing:
            await program.line("shown not known yet |  rings")
            program.stop()
            await program.line("goodbye")
            assert await program.ended() == 0
            with pytest.raises(SoftphoneError):
                await asyncio.wait_for(outgoing.answered(), PATIENCE)


async def test_a_call_that_is_given_up_was_missed(popup, account_of):
    async with popup("nothing") as program:
        await program.line("waits for calls")
        alice = await account_of("alice")
        async with alice.dial("bob"):
            await program.line("shown not known yet |  rings")
        await program.line("missed")
        await program.line("nothing shown")


async def test_a_declined_call_is_over_for_the_caller(popup, account_of):
    async with popup("decline") as program:
        await program.line("waits for calls")
        alice = await account_of("alice")
        async with alice.dial("bob") as outgoing:
            with pytest.raises(Exception, match="603"):
                await asyncio.wait_for(outgoing.answered(), PATIENCE)
        await program.line("nothing shown")


@pytest.mark.parametrize("moment", ["rings", "answered", "hung up by the caller"])
async def test_a_closed_window_ends_its_call_and_no_other(popup, account_of, moment):
    button = "nothing" if moment == "rings" else "answer"
    async with popup(button, moment) as program:
        await program.line("waits for calls")
        alice = await account_of("alice")
        for _ in range(2):
            async with alice.dial("bob") as outgoing:
                if moment == "rings":
                    with pytest.raises(SoftphoneError, match="603"):
                        await outgoing.answered(timeout=PATIENCE)
                else:
                    call = await outgoing.answered(timeout=PATIENCE)
                    if moment != "answered":
                        await program.line("shown encrypted | encrypted answered")
                        call.hangup()
                await program.line("closed")
        await program.line("nothing shown")
        program.stop()
        await program.line("goodbye")
        assert await program.ended() == 0

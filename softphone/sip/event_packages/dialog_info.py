"""The dialog event package: application/dialog-info+xml (RFC 4235).

`parse_dialog_info` and `print_dialog_info` read and write documents; `DialogInfoTable` makes a
coherent state of full and partial ones, by their versions (section 4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape, quoteattr

from softphone.events import CallState, WatchedDialog
from softphone.sip.event_packages.xml_document import XmlElement, read_xml
from softphone.sip.message import Body, MalformedMessage

DIALOG = "dialog"
"""The event package."""
DIALOG_INFO = "application/dialog-info+xml"
MOST_DIALOGS = 256
"""The most dialogs of one user that are tracked; further ones are not."""

_NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"
_DIRECTIONS = ("initiator", "recipient")


@dataclass(frozen=True, slots=True)
class DialogInfo:
    """One document: the state of the dialogs of `entity`; a `full` one lists them all."""

    entity: str
    version: int
    full: bool
    dialogs: tuple[WatchedDialog, ...]


def parse_dialog_info(data: bytes) -> DialogInfo:
    """Parse a document.  Raises MalformedMessage.

    A dialog without id or with an unknown state is left out.
    """
    root = read_xml(data, f"{_NAMESPACE} dialog-info")
    version = root.attribute("version")
    if not (version.isascii() and version.isdigit() and len(version) <= 10):
        raise MalformedMessage("The dialog-info document has no version")
    found = (_read_dialog(element) for element in root.named("dialog"))
    return DialogInfo(
        root.attribute("entity"),
        int(version),
        root.attribute("state") != "partial",
        tuple(dialog for dialog in found if dialog is not None),
    )


def _read_dialog(element: XmlElement) -> WatchedDialog | None:
    try:
        state = CallState(element.text_at("state").lower())
    except ValueError:
        return None
    if not element.attribute("id"):
        return None
    direction = element.attribute("direction")
    target = element.find("remote", "target")
    identity = element.find("remote", "identity")
    return WatchedDialog(
        id=element.attribute("id"),
        state=state,
        direction=direction if direction in _DIRECTIONS else "",
        remote_uri="" if identity is None else identity.text,
        remote_name="" if identity is None else identity.attribute("display"),
        call_id=element.attribute("call-id"),
        local_tag=element.attribute("local-tag"),
        remote_tag=element.attribute("remote-tag"),
        remote_target="" if target is None else target.attribute("uri"),
    )


def print_dialog_info(info: DialogInfo) -> Body:
    """Write a document; what a dialog has empty is left out."""
    state = "full" if info.full else "partial"
    head = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<dialog-info xmlns="{_NAMESPACE}" '
        f'version="{info.version}" state="{state}" entity={quoteattr(info.entity)}>'
    )
    text = "\n".join([head, *map(_print_dialog, info.dialogs), "</dialog-info>\n"])
    return Body(DIALOG_INFO, text.encode())


def _print_dialog(dialog: WatchedDialog) -> str:
    named = (
        ("id", dialog.id),
        ("call-id", dialog.call_id),
        ("local-tag", dialog.local_tag),
        ("remote-tag", dialog.remote_tag),
        ("direction", dialog.direction),
    )
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in named if value)
    remote = ""
    if dialog.remote_uri:
        name = f" display={quoteattr(dialog.remote_name)}" if dialog.remote_name else ""
        remote += f"<identity{name}>{escape(dialog.remote_uri)}</identity>"
    if dialog.remote_target:
        remote += f"<target uri={quoteattr(dialog.remote_target)}/>"
    remote = f"<remote>{remote}</remote>" if remote else ""
    return f"<dialog{attributes}><state>{dialog.state.value}</state>{remote}</dialog>"


class DialogInfoTable:
    """The dialogs that are not terminated, as one subscription reports them, by id.

    `incomplete` is set when a partial document does not follow the one before: the subscription
    must be refreshed for the full state.
    """

    def __init__(self) -> None:
        self._dialogs: dict[str, WatchedDialog] = {}
        self._version: int | None = None
        self.incomplete = False

    @property
    def dialogs(self) -> tuple[WatchedDialog, ...]:
        """The dialogs, oldest first."""
        return tuple(self._dialogs.values())

    def apply(self, info: DialogInfo) -> tuple[WatchedDialog, ...]:
        """Apply a document; return the dialogs that have changed, terminated ones included.

        A version that is not newer is ignored.  A dialog that a full document lacks has terminated.
        """
        expected = None if self._version is None else self._version + 1
        if expected is not None and info.version < expected:
            return ()
        self._version = info.version
        self.incomplete = not info.full and (self.incomplete or info.version != expected)
        changed = self._missing(info.dialogs) if info.full else []
        for dialog in info.dialogs:
            if self._put(dialog):
                changed.append(dialog)
        return tuple(changed)

    def clear(self) -> tuple[WatchedDialog, ...]:
        """Forget the version and all dialogs: the subscription is over; return them terminated."""
        self._version, self.incomplete = None, False
        return tuple(self._missing(()))

    def restart(self) -> None:
        """Expect any version next, since a new subscription counts afresh; keep the dialogs."""
        self._version = None

    def _missing(self, present: Sequence[WatchedDialog]) -> list[WatchedDialog]:
        ids = {dialog.id for dialog in present}
        gone = [dialog for dialog in self._dialogs.values() if dialog.id not in ids]
        for dialog in gone:
            del self._dialogs[dialog.id]
        return [replace(dialog, state=CallState.TERMINATED) for dialog in gone]

    def _put(self, dialog: WatchedDialog) -> bool:
        """Store one dialog; return whether that changes anything."""
        if dialog.state is CallState.TERMINATED:
            return self._dialogs.pop(dialog.id, None) is not None
        if dialog.id not in self._dialogs and len(self._dialogs) >= MOST_DIALOGS:
            return False
        before = self._dialogs.get(dialog.id)
        self._dialogs[dialog.id] = dialog
        return before != dialog

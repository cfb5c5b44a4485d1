"""Reading a configuration file of TOML key by key, and saying which line is wrong.

Every complaint is a ConfigurationError that names the file, the line and the key.  Paths are
relative to the file.  It knows no table of its own.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from softphone.config.account import TlsConfig
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial, TlsVersion
from softphone.trust import readable_by_others
from softphone.trust.disk import check_file

__all__ = ["TomlReader", "checked", "password_of", "read_text", "secret_in", "tls_of"]

Choice = TypeVar("Choice", bound=Enum)
Made = TypeVar("Made")

_MAXIMUM_SIZE = 64 * 1024
_PASSWORDS = ("password", "password_file", "password_env")


@dataclass(slots=True)
class TomlReader:
    """One file while it is read: its text for line numbers, its warnings."""

    path: Path
    text: str
    keys: Mapping[str, tuple[str, ...]]
    warnings: list[str] = field(default_factory=list)

    def line_of(self, table: str, key: str) -> int:
        """The line that sets `key` of `table`; else where the table begins, else 1.

        `name[2]` is the third `[[name]]`.
        """
        current, begin = "", 1
        dotted = rf"\s*{re.escape(table)}\s*\.\s*{re.escape(key)}\s*="
        plain = rf"\s*[\"']?{re.escape(key)}[\"']?\s*="
        counts: dict[str, int] = {}
        for number, line in enumerate(self.text.splitlines(), 1):
            header = re.match(r"\s*(\[?)\[\s*([A-Za-z0-9_.-]+)\s*\]", line)
            if header:
                current = header[2]
                if header[1]:
                    counts[current] = counts.get(current, -1) + 1
                    current = f"{current}[{counts[current]}]"
                begin = number if current == table else begin
                if current == (f"{table}.{key}" if table else key):
                    return number
            elif (current == table and re.match(plain, line)) or (table and re.match(dotted, line)):
                return number
        return begin

    def fail(self, table: str, key: str, message: str) -> NoReturn:
        """Raise ConfigurationError for a key, with its line."""
        name = f"{table}.{key}" if table else key
        raise ConfigurationError(f"{self.path}:{self.line_of(table, key)}: {name}: {message}")

    def check_keys(self, table: str, values: Mapping[str, Any]) -> None:
        """Refuse keys that the table does not have."""
        known = self.keys[table.partition("[")[0]]
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                self.fail(table, key, f"there is no such key; {hint}")

    def text_of(self, table: str, values: Mapping[str, Any], key: str) -> str | None:
        """A text that is not empty, or None."""
        value = values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            self.fail(table, key, "expected a text in quotes")
        return value

    def list_of(
        self, table: str, values: Mapping[str, Any], key: str, *, unique: bool = True
    ) -> tuple[str, ...] | None:
        """A list of texts, or None."""
        value = values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail(table, key, 'expected a list of texts, as in ["…", "…"]')
        if unique and len(set(value)) != len(value):
            self.fail(table, key, "something is listed twice")
        return tuple(value)

    def number_of(
        self, values: Mapping[str, Any], key: str, default: int, *, table: str = ""
    ) -> int:
        """A whole number."""
        value = values.get(key, default)
        if type(value) is not int:
            self.fail(table, key, "expected a whole number")
        return value

    def choice_of(
        self,
        table: str,
        values: Mapping[str, Any],
        key: str,
        kind: type[Choice],
        *,
        without: Choice | None = None,
    ) -> Choice | None:
        """A member of an enumeration by its value, or None; `without` may not be chosen."""
        text = self.text_of(table, values, key)
        return None if text is None else self.choose(table, key, text, kind, without=without)

    def choose(
        self,
        table: str,
        key: str,
        text: str,
        kind: type[Choice],
        *,
        without: Choice | None = None,
    ) -> Choice:
        """The member that a text names."""
        members = {str(member.value): member for member in kind if member is not without}
        if text not in members:
            self.fail(table, key, f"{text!r} is unknown; known are {', '.join(members)}")
        return members[text]

    def path_of(self, table: str, values: Mapping[str, Any], key: str) -> Path | None:
        """A path that is there, or None."""
        text = self.text_of(table, values, key)
        if text is None:
            return None
        path = self.path.parent / Path(text).expanduser()
        if not path.exists():
            self.fail(table, key, f"there is no {path}")
        return path

    def warn_if_readable(self, path: Path) -> None:
        """Note a secret that others can read."""
        warning = readable_by_others(path)
        if warning is not None:
            self.warnings.append(warning)


def read_text(path: Path, what: str = "file", making: str = "") -> str:
    """The text of a file of reasonable size; `what` it is, and how one comes by it.

    Raises ConfigurationError, also for one that everybody can write: it names servers, whom to
    believe, and commands that are run.
    """
    check_file(path, group=True)
    try:
        with path.open("rb") as file:
            data = file.read(_MAXIMUM_SIZE + 1)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{path}: there is no such {what}{f': {making}' if making else ''}"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    if len(data) > _MAXIMUM_SIZE:
        raise ConfigurationError(
            f"{path}: more than {_MAXIMUM_SIZE} bytes is too much for a configuration file"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: this is no UTF-8 text") from error


def checked(reader: TomlReader, table: str, make: Callable[[], Made]) -> Made:
    """What `make` gives; its ConfigurationError gains file and line."""
    try:
        return make()
    except ConfigurationError as error:
        message = str(error)
        if message.startswith(f"{reader.path}:"):
            raise
        key = message.partition(":")[0].rpartition(".")[2]
        raise ConfigurationError(
            f"{reader.path}:{reader.line_of(table, key)}: {message}"
        ) from error


def password_of(
    reader: TomlReader, table: str, values: Mapping[str, Any], environment: Mapping[str, str]
) -> KeyMaterial:
    """The password of a table: its `password`, or what `password_file` or `password_env` names."""
    given = [key for key in _PASSWORDS if key in values]
    if len(given) != 1:
        before, _, last = table.rpartition(".")
        reader.fail(
            before, last, "give one of password, password_file and password_env, and one only"
        )
    key = given[0]
    text = reader.text_of(table, values, key) or ""
    if key == "password":
        reader.warn_if_readable(reader.path)
    elif key == "password_env":
        name = text
        text = environment.get(name, "")
        if not text:
            reader.fail(table, key, f"the environment has no {name}, or it is empty")
    else:
        path = reader.path_of(table, values, key)
        if path is None:
            reader.fail(table, key, "expected a path in quotes")
        return secret_in(reader, table, key, path)
    return KeyMaterial(text.encode())


def secret_in(reader: TomlReader, table: str, key: str, path: Path) -> KeyMaterial:
    """The one line of a file that only its owner should be able to read."""
    reader.warn_if_readable(path)
    text = read_text(path).rstrip("\r\n")
    if not text:
        reader.fail(table, key, f"{path} is empty")
    return KeyMaterial(text.encode())


def tls_of(reader: TomlReader, table: str, values: Mapping[str, Any]) -> TlsConfig:
    """Whom to believe and what to show, as the table `table` says.  Raises ConfigurationError."""
    given = values.get("ca")
    names = (given,) if isinstance(given, str) else reader.list_of(table, values, "ca") or ()
    paths: list[Path] = []
    for name in names:
        if name == "system":
            continue
        path = reader.path_of(table, {"ca": name}, "ca")
        if path is not None:
            paths.append(path)
    key = reader.path_of(table, values, "key")
    if key is not None:
        reader.warn_if_readable(key)
    pin = reader.text_of(table, values, "pin")
    store = reader.text_of(table, values, "store")
    opens = reader.path_of(table, values, "passphrase_file")
    return TlsConfig(
        ca=tuple(paths),
        system="system" in names,
        certificate=reader.path_of(table, values, "certificate"),
        key=key,
        pin=None if pin is None else pin.lower().replace(" ", ""),
        server_name=reader.text_of(table, values, "server_name"),
        minimum=reader.choice_of(table, values, "minimum", TlsVersion) or TlsVersion.TLS_1_2,
        passphrase=None if opens is None else secret_in(reader, table, "passphrase_file", opens),
        store=None if store is None else reader.path.parent / Path(store).expanduser(),
    )

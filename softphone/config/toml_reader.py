"""Reads a TOML configuration file key by key, with errors that name the line.

Every error is a ConfigurationError that names the file, the line and the key.  Paths are relative
to the file.  A table that a dataclass describes is read by the types of its fields, so that a key
is declared once: as a field.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from softphone.config.account import TlsConfig
from softphone.errors import ConfigurationError
from softphone.operating_system import open_to_read
from softphone.security import KeyMaterial
from softphone.trust import readable_by_others
from softphone.trust.disk import check_file
from softphone.trust.store import KEYRING

Choice = TypeVar("Choice", bound=Enum)
Made = TypeVar("Made")

PASSWORD_KEYS = ("password", "password_file", "password_env")
TLS_KEYS = (
    *("ca", "certificate", "key", "passphrase_file", "pin", "server_name", "minimum", "store"),
    "aia_hosts",
)
ACCOUNT_KEYS = ("server_certificate", "server_key", "server_passphrase_file", "resume_sessions")
"""Further keys of the `[tls]` of an account."""
_READ_APART = (
    *("ca", "system", "key", "pin", "passphrase", "store"),
    *("server_key", "server_passphrase", "places"),
)
_PLACED_KEYS = ("ca", "certificate", "server_certificate", "server_name")
_MAXIMUM_SIZE = 64 * 1024


def field_names(kind: type, *without: str) -> tuple[str, ...]:
    """Return the names of a dataclass's fields, except `without`, as the keys of a table."""
    return tuple(each.name for each in fields(kind) if each.name not in without)


@dataclass(slots=True)
class TomlFile:
    """One file being read: its text, for line numbers, and its warnings."""

    path: Path
    text: str
    warnings: list[str] = field(default_factory=list)

    def line_of(self, table: str, key: str) -> int:
        """Return the line that sets `key` of `table`; else where the table begins, else 1.

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


@dataclass(frozen=True, slots=True)
class TomlTable:
    """One table of a file; `name` is "" for the file itself, and dotted for a table in a table."""

    name: str
    values: Mapping[str, Any]
    file: TomlFile

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for the user, each once."""
        return tuple(dict.fromkeys(self.file.warnings))

    def line_of(self, key: str) -> int:
        """The line that sets `key`; else where the table begins, else 1."""
        return self.file.line_of(self.name, key)

    def place_of(self, key: str) -> str:
        """Return file, line and full name of a key, as an error message begins."""
        name = f"{self.name}.{key}" if self.name else key
        return f"{self.path}:{self.line_of(key)}: {name}"

    def fail(self, key: str, message: str) -> NoReturn:
        """Raise ConfigurationError for a key, with its line."""
        raise ConfigurationError(f"{self.place_of(key)}: {message}")

    def fail_whole(self, message: str) -> NoReturn:
        """Raise ConfigurationError for the table, with the line where it begins."""
        above, _, last = self.name.rpartition(".")
        raise ConfigurationError(
            f"{self.path}:{self.file.line_of(above, last)}: {self.name}: {message}"
        )

    def checked(self, make: Callable[[], Made]) -> Made:
        """Return what `make` returns; add file and line to its ConfigurationError."""
        try:
            return make()
        except ConfigurationError as error:
            message = str(error)
            if message.startswith(f"{self.path}:"):
                raise
            key = message.partition(":")[0].rpartition(".")[2]
            raise ConfigurationError(f"{self.path}:{self.line_of(key)}: {message}") from error

    def check_keys(self, *known: str) -> None:
        """Raise ConfigurationError for a key that is not among `known`."""
        for key in self.values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                self.fail(key, f"there is no such key; {hint}")

    def table(self, key: str) -> TomlTable | None:
        """Return the table `key` in this one, or None."""
        value = self.values.get(key)
        if value is None:
            return None
        name = f"{self.name}.{key}" if self.name else key
        if not isinstance(value, dict):
            self.fail(key, f"expected a table: write [{name}] and its keys below")
        return TomlTable(name, value, self.file)

    def tables(self, key: str) -> tuple[TomlTable, ...]:
        """Return the table `[key]`, or each `[[key]]`; () without any."""
        value = self.values.get(key)
        if not isinstance(value, list):
            one = self.table(key)
            return () if one is None else (one,)
        if not all(isinstance(each, dict) for each in value):
            self.fail(key, f"expected a table: write [[{key}]] and its keys")
        name = f"{self.name}.{key}" if self.name else key
        return tuple(
            TomlTable(f"{name}[{index}]", each, self.file) for index, each in enumerate(value)
        )

    def fields(self, kind: type, *without: str) -> dict[str, Any]:
        """Read the present keys that name fields of `kind`, a dataclass, except `without`.

        Each is read by the type of its field: a flag, a whole number, seconds, a text, an existing
        path, a member of an enumeration by its value, or a list of texts or members.
        """
        hints = get_type_hints(kind)
        names = [name for name in field_names(kind, *without) if name in self.values]
        return {name: self._read(name, hints[name]) for name in names}

    def _read(self, key: str, hint: Any) -> Any:
        """Read the value of a key by the type of its field."""
        options = (hint,) if get_origin(hint) in (tuple, frozenset) else get_args(hint) or (hint,)
        for option in options:
            origin = get_origin(option)
            if origin in (tuple, frozenset) and (
                str not in options or isinstance(self.values[key], list)
            ):
                return self._read_list(key, origin, get_args(option)[0])
            if origin is os.PathLike:
                return self.existing_path(key)
            if isinstance(option, type) and issubclass(option, Enum):
                return self.choice(key, option)
        if bool in options:
            return self.flag(key)
        if int in options:
            return self.number(key)
        return self.seconds(key) if float in options else self.text(key)

    def _read_list(self, key: str, kind: Any, member: Any) -> Any:
        return kind(self.texts(key) or () if member is str else self.choices(key, member))

    def text(self, key: str) -> str | None:
        """A text that is not empty, or None."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            self.fail(key, "expected a text in quotes")
        return value

    def needed_text(self, key: str, missing: str) -> str:
        """Read a required text; `missing` is the message of the error without it."""
        return self.text(key) or self.fail_whole(missing)

    def texts(self, key: str, *, unique: bool = True) -> tuple[str, ...] | None:
        """A list of texts, or None."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail(key, 'expected a list of texts, as in ["…", "…"]')
        if unique and len(set(value)) != len(value):
            self.fail(key, "something is listed twice")
        return tuple(value)

    def flag(self, key: str) -> bool | None:
        """True or false, or None."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            self.fail(key, "expected true or false")
        return value

    def number(self, key: str) -> int | None:
        """A whole number, or None."""
        value = self.values.get(key)
        if value is not None and type(value) is not int:
            self.fail(key, "expected a whole number")
        return value

    def amount(self, key: str) -> float:
        """A number of a key that is there, which need not be whole."""
        value = self.values[key]
        if type(value) not in (int, float):
            self.fail(key, "expected a number")
        return float(value)

    def seconds(self, key: str, most: float | None = None) -> float | None:
        """A number of seconds, or None; between 0 and `most`, where that is given."""
        value = self.values.get(key)
        if value is None:
            return None
        if type(value) not in (int, float) or (most is not None and not 0 < value <= most):
            bound = "" if most is None else f", up to {most:g}"
            self.fail(key, f"expected a number of seconds{bound}")
        return float(value)

    def choice(
        self, key: str, kind: type[Choice], *, without: Choice | None = None
    ) -> Choice | None:
        """A member of an enumeration by its value, or None; `without` may not be chosen."""
        text = self.text(key)
        return None if text is None else self._choose(key, text, kind, without)

    def choices(self, key: str, kind: type[Choice]) -> tuple[Choice, ...]:
        """Members of an enumeration by their values."""
        return tuple(self._choose(key, text, kind) for text in self.texts(key) or ())

    def _choose(
        self, key: str, text: str, kind: type[Choice], without: Choice | None = None
    ) -> Choice:
        members = {str(member.value): member for member in kind if member is not without}
        if text not in members:
            self.fail(key, f"{text!r} is unknown; known are {', '.join(members)}")
        return members[text]

    def place(self, key: str) -> Path | None:
        """Read a path, relative to the file, that need not exist; or None."""
        text = self.text(key)
        return None if text is None else self.path.parent / Path(text).expanduser()

    def existing_path(self, key: str) -> Path | None:
        """Read a path that must exist; or None."""
        path = self.place(key)
        if path is not None and not path.exists():
            self.fail(key, f"there is no {path}")
        return path

    def secret_path(self, key: str) -> Path | None:
        """Read the path of an existing secret file, or None; warn if others can read it."""
        path = self.existing_path(key)
        if path is not None:
            self._warn_if_readable(path)
        return path

    def secret_in(self, key: str) -> KeyMaterial | None:
        """Read the secret file that `key` names, without its line end; warn if others can read it.

        Returns None without the key.
        """
        path = self.secret_path(key)
        if path is None:
            return None
        text = read_text(path).rstrip("\r\n")
        if not text:
            self.fail(key, f"{path} is empty")
        return KeyMaterial(text.encode())

    def password(self, environment: Mapping[str, str]) -> KeyMaterial:
        """Read the password from `password`, `password_file` or `password_env`, exactly one."""
        given = [key for key in PASSWORD_KEYS if key in self.values]
        if len(given) != 1:
            self.fail_whole("give one of password, password_file and password_env, and one only")
        key = given[0]
        if key == "password_file":
            return self.secret_in(key) or self.fail(key, "expected a path in quotes")
        text = self.text(key) or ""
        if key == "password":
            self._warn_if_readable(self.path)
        elif not environment.get(text):
            self.fail(key, f"the environment has no {text}, or it is empty")
        else:
            text = environment[text]
        return KeyMaterial(text.encode())

    def authorities(self, key: str) -> tuple[str | Path, ...]:
        """Read existing files or folders of authorities, one or a list; "system" stays a word."""
        given = self.values.get(key)
        names = (given,) if isinstance(given, str) else self.texts(key) or ()
        found = (
            name
            if name == "system"
            else TomlTable(self.name, {key: name}, self.file).existing_path(key)
            for name in names
        )
        return tuple(each for each in found if each is not None)

    def tls(self) -> TlsConfig:
        """Read a `[tls]` table.  Raises ConfigurationError."""
        names = self.authorities("ca")
        pin = self.text("pin")
        return TlsConfig(
            ca=tuple(name for name in names if name != "system"),
            system="system" in names,
            key=self.secret_path("key"),
            pin=None if pin is None else pin.lower().replace(" ", ""),
            passphrase=self.secret_in("passphrase_file"),
            store=self._trust_store(),
            server_key=self.secret_path("server_key"),
            server_passphrase=self.secret_in("server_passphrase_file"),
            places={key: self.place_of(key) for key in _PLACED_KEYS if key in self.values},
            **self.fields(TlsConfig, *_READ_APART),
        )

    def _trust_store(self) -> Path | str | None:
        """Read where accepted certificates are kept: a folder, or "keyring:NAME" as it is."""
        text = self.text("store")
        return text if text is not None and text.startswith(KEYRING) else self.place("store")

    def _warn_if_readable(self, path: Path) -> None:
        warning = readable_by_others(path)
        if warning is not None:
            self.file.warnings.append(warning)


def read_text(path: Path, what: str = "file", making: str = "") -> str:
    """Read a text file of at most 64 KiB; `what` and `making` describe it in error messages.

    Raises ConfigurationError, also for a file that others can write: it names servers, trust
    anchors and commands to run.
    """
    check_file(path, group=True)
    try:
        with open_to_read(path) as file:
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


def read_toml(path: Path, what: str, making: str) -> TomlTable:
    """Read a whole TOML file; `what` and `making` describe it in error messages.

    Raises ConfigurationError, as `read_text` does, and for invalid TOML.
    """
    text = read_text(path, what, making)
    return TomlTable("", parse_toml(text, path), TomlFile(path, text))


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Parse TOML; `path` is for errors.  Raises ConfigurationError, also for deep nesting."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: this is no TOML: {error}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path}: its values are nested too deeply") from error

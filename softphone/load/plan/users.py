"""The users of a run: from a file, from a template, or one account.

A file is CSV with a header line, or TOML with a `[[user]]` table for each user.  Its fields are
`aor`, `username`, `password_file`, `certificate`, `key`, `algorithms` and `realms`; paths are
relative to the file, and lists are separated by ";".  Secrets are read only when the user
registers.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from softphone.config import AccountConfig, CredentialConfig
from softphone.config.toml_reader import parse_toml
from softphone.errors import ConfigurationError
from softphone.operating_system import read_file
from softphone.security import KeyMaterial

FIELDS = ("aor", "username", "password_file", "certificate", "key", "algorithms", "realms")
PLACE = "the users (--algorithms and --realms, or the fields of a users file)"
MOST_USERS = 1_000_000


@dataclass(frozen=True, slots=True)
class UserSpec:
    """One user, as plain text.

    `aor` may be a name alone; then the domain is the base account's.  A field that is None takes
    the base account's value.  `wrong_password` makes the user answer challenges wrongly, on
    purpose.
    """

    aor: str
    username: str | None = None
    password_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    algorithms: str | None = None
    realms: str | None = None
    wrong_password: bool = False

    def to_plain(self) -> dict[str, Any]:
        """The user as JSON values, for `from_plain`."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` gave."""
        return cls(**plain)


def read_users(path: Path) -> tuple[UserSpec, ...]:
    """Read the users of a file.  Raises ConfigurationError with file and line, or table."""
    try:
        text = read_file(path).decode()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: this is no UTF-8 text") from error
    rows = _toml_rows(path, text) if path.suffix == ".toml" else _csv_rows(path, text)
    users = tuple(_user(path, place, row) for place, row in rows)
    if not users:
        raise ConfigurationError(f"{path}: there is no user in it")
    return users


def _csv_rows(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    try:
        _check_fields(f"{path}:1", reader.fieldnames or ())
        for row in reader:
            if None in row:
                raise ConfigurationError(f"{path}:{reader.line_num}: more values than fields")
            yield f"{path}:{reader.line_num}", {key: value for key, value in row.items() if value}
    except csv.Error as error:
        raise ConfigurationError(f"{path}:{reader.line_num}: this is no CSV: {error}") from error


def _toml_rows(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    values = parse_toml(text, path)
    rows = values.get("user")
    if not isinstance(rows, list) or set(values) != {"user"}:
        raise ConfigurationError(f"{path}: expected [[user]] tables, and nothing else")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ConfigurationError(f"{path}: user {number}: expected a table")
        _check_fields(f"{path}: user {number}", row)
        yield f"{path}: user {number}", row


def _check_fields(place: str, names: Any) -> None:
    for name in names:
        if name not in FIELDS:
            raise ConfigurationError(
                f"{place}: there is no field {name!r}; known are {', '.join(FIELDS)}"
            )


def _user(path: Path, place: str, row: dict[str, Any]) -> UserSpec:
    if not all(isinstance(value, str) and value.strip() for value in row.values()):
        raise ConfigurationError(f"{place}: expected texts only")
    values = {name: value.strip() for name, value in row.items()}
    if "aor" not in values:
        raise ConfigurationError(f"{place}: aor is missing; it is the user's own address")
    for name in ("password_file", "certificate", "key"):
        if name in values:
            values[name] = str(path.parent / Path(values[name]).expanduser())
    return _checked(place, UserSpec(**values))


def _checked(place: str, user: UserSpec) -> UserSpec:
    """Check that the user's files exist and that its fields fit together."""
    if (user.certificate is None) != (user.key is None):
        raise ConfigurationError(f"{place}: a client certificate and its key go together")
    for name in (user.password_file, user.certificate, user.key):
        if name is not None and not Path(name).is_file():
            raise ConfigurationError(f"{place}: there is no file {name}")
    return user


def users_of_template(pattern: UserSpec, count: int) -> tuple[UserSpec, ...]:
    """Make `count` users: {n} is the user's number from 1 on, {user} its name in other fields.

    Raises ConfigurationError for a faulty template or a missing file.
    """
    if not 1 <= count <= MOST_USERS:
        raise ConfigurationError(f"{count} users: expected 1 to {MOST_USERS:,}")
    users = []
    for number in range(1, count + 1):
        aor = _fill(pattern.aor, n=number)
        name = aor.partition(":")[2].partition("@")[0] if ":" in aor else aor.partition("@")[0]
        filled: dict[str, Any] = {}
        for field in FIELDS[1:]:
            given = getattr(pattern, field)
            filled[field] = None if given is None else _fill(given, n=number, user=name)
        users.append(_checked(f"user {aor}", UserSpec(aor, **filled)))
    if count > 1 and users[0].aor == users[1].aor:
        raise ConfigurationError(f"the user template {pattern.aor!r} has no {{n}} to tell users by")
    return tuple(users)


def _fill(template: str, **values: Any) -> str:
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"the template {template!r} cannot be filled in ({error}); it may have {{n}}, as in "
            "'load{n:05}', and in file names {user}"
        ) from error


def config_of(base: AccountConfig, user: UserSpec) -> AccountConfig:
    """The account of one user: the base account with the user's identity.

    Raises ConfigurationError.
    """
    aor = user.aor
    if not aor.lower().startswith(("sip:", "sips:")):
        aor = str(base.target_uri(aor))
    tls = base.tls
    if user.certificate is not None and user.key is not None:
        tls = replace(tls, certificate=Path(user.certificate), key=Path(user.key))
    return replace(base, aor=aor, credentials=_credentials(base, user, aor), tls=tls)


def _credentials(base: AccountConfig, user: UserSpec, aor: str) -> CredentialConfig | None:
    given = _of_user(base, user, aor)
    if given is None or (user.algorithms is None and user.realms is None):
        return given
    algorithms, realms = _several(user.algorithms), _several(user.realms)
    return replace(given, algorithms=algorithms or given.algorithms, realms=realms or given.realms)


def _several(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(";") if part.strip())


def _of_user(base: AccountConfig, user: UserSpec, aor: str) -> CredentialConfig | None:
    """A user's username and password, with the base account's digest settings."""
    given = base.credentials
    if user.wrong_password:
        name = user.username or (given.username if given else _name(aor))
        wrong = KeyMaterial(b"wrong on purpose")
        if given is None:
            return CredentialConfig(name, wrong, place=PLACE)
        return replace(given, username=name, password=wrong)
    password = password_of(user)
    if password is None:
        if given is None or user.username is None:
            return given
        return replace(given, username=user.username)
    name = user.username or _name(aor)
    if given is None:
        return CredentialConfig(name, password, place=PLACE)
    return replace(given, username=name, password=password)


def password_of(user: UserSpec) -> KeyMaterial | None:
    """Read a user's password; None without a file of its own.

    Raises ConfigurationError for a file that cannot be read, or is empty.
    """
    if user.password_file is None:
        return None
    try:
        password = read_file(user.password_file).rstrip(b"\r\n")
    except OSError as error:
        raise ConfigurationError(f"{user.password_file}: {error.strerror or error}") from error
    if not password:
        raise ConfigurationError(f"{user.password_file} is empty")
    return KeyMaterial(password)


def _name(aor: str) -> str:
    return aor.partition(":")[2].partition("@")[0]

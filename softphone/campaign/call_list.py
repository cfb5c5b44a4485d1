"""The list of numbers: CSV with a header line, separated by commas or semicolons.

`number` is needed; `name`, `zone` (Europe/Berlin) and `header:NAME`, a header field of the INVITE,
may be there.  Any other column is a variable for functions and bots.  Everything is checked before
the first call, and what is wrong is said with its line.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from softphone.call import checked_headers
from softphone.campaign.calling_hours import find_zone
from softphone.campaign.scheduler import ListedNumber
from softphone.config import AccountConfig, DialPolicyConfig
from softphone.config.dial_policy import LONGEST_INTERNAL
from softphone.errors import ConfigurationError
from softphone.operating_system import open_to_read

LARGEST_FILE = 256 << 20
"""Octets of a list, and of a do-not-call list."""
MOST_NUMBERS = 1_000_000
HEADER = "header:"
"""What a column's name begins with that is a header field."""

_KNOWN = ("number", "name", "zone")
_SEPARATORS = re.compile("[-./ \t\u00a0\u2009\u202f\u2010-\u2015]")
"""Blanks, dashes, points and strokes: 030/123-45, and what spreadsheets make of them."""
_ROUNDED = re.compile(r"[0-9]+(?:[.,][0-9]+)?E\+?[0-9]+", re.I)
_TELEPHONE = re.compile(r"\+?[0-9()]+")


def number_key(config: AccountConfig, number: str) -> str:
    """Return the key of a number: the same for every way to write it that the account accepts.

    Raises ConfigurationError for what cannot be called.
    """
    if _ROUNDED.fullmatch(number.strip()):
        raise ConfigurationError(f"{number}: a spreadsheet has rounded this number")
    policy = config.dial_policy or DialPolicyConfig()
    uri = config.target_uri(without_separators(number))
    return policy.comparable_number(uri, domain=config.aor_uri.host)


def without_separators(number: str) -> str:
    """Return a telephone number without what people write between its digits.

    "(0)" stays for the account to judge; a text with anything else in it is returned as it is.
    """
    bare = _SEPARATORS.sub("", number)
    return bare if _TELEPHONE.fullmatch(bare) else number


def is_telephone_number(text: str) -> bool:
    """Whether a text is of digits, more than an extension has, and of what stands between them."""
    bare = _SEPARATORS.sub("", text)
    return _TELEPHONE.fullmatch(bare) is not None and len(bare) > LONGEST_INTERNAL


def csv_delimiter(text: str) -> str:
    """Return what separates the cells of a file: a semicolon if its first line has no comma."""
    head = text.partition("\n")[0]
    return ";" if ";" in head and "," not in head else ","


def read_call_list(
    path: str | os.PathLike[str],
    config: AccountConfig,
    *,
    zone: str = "",
    needs_zone: bool = True,
) -> tuple[ListedNumber, ...]:
    """Read the numbers of a file, to be called by the account of `config`.

    `zone` is that of rows without one; with `needs_zone` each must have one.  Raises
    ConfigurationError with file and line.
    """
    found: dict[str, ListedNumber] = {}
    zones: set[str] = set()
    for line, row in _rows(Path(path)):
        place = f"{path}:{line}"
        try:
            number = _listed(row, line, config, zone if needs_zone or zone else "UTC")
            if number.zone not in zones:
                find_zone(number.zone)
                zones.add(number.zone)
        except ConfigurationError as error:
            raise ConfigurationError(f"{place}: {error}") from error
        if number.key in found:
            raise ConfigurationError(
                f"{place}: {number.number} is in line {found[number.key].line} already"
            )
        if len(found) >= MOST_NUMBERS:
            raise ConfigurationError(f"{place}: a list has at most {MOST_NUMBERS:,} numbers")
        found[number.key] = number
    if not found:
        raise ConfigurationError(f"{path}: there is no number in it")
    return tuple(found.values())


def read_text_file(path: Path) -> str:
    """Read a file in UTF-8, with or without a byte order mark.  Raises ConfigurationError."""
    try:
        with open_to_read(path) as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    if len(data) > LARGEST_FILE:
        raise ConfigurationError(f"{path}: a list has at most {LARGEST_FILE >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: this is no UTF-8 text") from error


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    text = read_text_file(path)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=csv_delimiter(text),
        skipinitialspace=True,
        strict=True,
    )
    try:
        names = [name.strip() for name in next(reader, [])]
        _check_names(f"{path}:1", names)
        for cells in reader:
            values = [cell.strip() for cell in cells]
            if not any(values):
                continue
            if len(values) != len(names):
                raise ConfigurationError(
                    f"{path}:{reader.line_num}: {len(values)} values for {len(names)} columns"
                )
            yield reader.line_num, dict(zip(names, values, strict=True))
    except csv.Error as error:
        raise ConfigurationError(f"{path}:{reader.line_num}: this is no CSV: {error}") from error


def _check_names(place: str, names: list[str]) -> None:
    if "number" not in names:
        raise ConfigurationError(
            f"{place}: there is no column 'number'; the first line names the columns"
        )
    for at, name in enumerate(names):
        if not name:
            raise ConfigurationError(f"{place}: column {at + 1} has no name")
        if name in names[:at]:
            raise ConfigurationError(f"{place}: there are two columns {name!r}")


def _listed(row: Mapping[str, str], line: int, config: AccountConfig, zone: str) -> ListedNumber:
    number = without_separators(row["number"])
    if not number:
        raise ConfigurationError("the number is missing")
    zone = row.get("zone") or zone
    if not zone:
        raise ConfigurationError("no zone: fill in the column 'zone', or give one for all numbers")
    fields = [
        (name.removeprefix(HEADER), value)
        for name, value in row.items()
        if name.startswith(HEADER) and value
    ]
    variables = {
        name: value
        for name, value in row.items()
        if name not in _KNOWN and not name.startswith(HEADER)
    }
    return ListedNumber(
        number_key(config, number),
        number,
        row.get("name", ""),
        zone,
        checked_headers(fields),
        variables,
        line,
    )

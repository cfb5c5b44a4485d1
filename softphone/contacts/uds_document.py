"""Parses the XML documents of CUCM's User Data Services: users, and a user's home cluster.

Parsing is lenient: elements may come in any order, and unknown ones are skipped.  A document type,
and with it every custom entity, is refused before it is processed; depth and number of elements are
bounded.  Nothing is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

from softphone.contacts.contact import Contact, ContactNumber
from softphone.errors import DirectoryError

_DEEPEST = 16
_MOST_ELEMENTS = 50_000
_MOST_ATTRIBUTES = 50_000
"""The most "=" in a document: expat collects all attributes of an element before it calls us."""
_KNOWN = ("found", "totalCount")
_NUMBERS = {
    "phoneNumber": "work",
    "mobileNumber": "mobile",
    "homeNumber": "home",
    "pager": "other",
}


@dataclass(frozen=True, slots=True)
class HomeCluster:
    """Whether the user was found, and the host of the user's home cluster, if the answer has it."""

    found: bool
    host: str | None = None


@dataclass(frozen=True, slots=True)
class UdsUsers:
    """The users of one answer.

    `given` is the number of users in the answer, `total` the number that match on the server, 0 if
    unknown; `contacts` lacks users without a name.
    """

    contacts: tuple[Contact, ...]
    given: int
    total: int


@dataclass(slots=True)
class _UdsDocument:
    """The state of the parser: the values of each user, and those beside users."""

    root: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    users: list[dict[str, str]] = field(default_factory=list)
    loose: dict[str, str] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    elements: int = 0
    text: list[str] = field(default_factory=list)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Handle a start tag.  Raises DirectoryError for too deep nesting or too many elements."""
        local = name.rpartition(":")[2]
        self.elements += 1
        self.path.append(local)
        if len(self.path) > _DEEPEST or self.elements > _MOST_ELEMENTS:
            raise DirectoryError("the UDS server's answer is nested too deeply, or too large")
        if len(self.path) == 1:
            self.root = local
            self._keep_known(attributes)
        elif len(self.path) == 2 and local == "user":
            self.users.append({})
        elif len(self.path) == 2 and local == "result":
            self._keep_known(attributes)
        self.text.clear()

    def _keep_known(self, attributes: dict[str, str]) -> None:
        """Keep only the attributes that are used: a document may have any number of others."""
        for name in _KNOWN:
            if name in attributes:
                self.attributes[name] = attributes[name]

    def characters(self, data: str) -> None:
        """Handle character data."""
        self.text.append(data)

    def end(self, _: str) -> None:
        """Handle an end tag: keep the value of an element of a user; ignore deeper elements."""
        path, value = self.path, "".join(self.text).strip()
        if value and len(path) == 3 and path[1] == "user" and self.users:
            self.users[-1].setdefault(path[2], _line(value))
        elif value and len(path) == 2:
            self.loose.setdefault(path[1], _line(value))
        self.text.clear()
        path.pop()


def parse_users(data: bytes, source: str) -> UdsUsers:
    """Parse the answer to `/users`; `source` is the directory's name.

    Raises DirectoryError for an invalid document.
    """
    document = _read(data, "users")
    contacts = (_contact(user, source) for user in document.users)
    total = document.attributes.get("totalCount", "")
    return UdsUsers(
        tuple(each for each in contacts if each is not None),
        len(document.users),
        int(total) if total.isascii() and total.isdigit() and len(total) < 10 else 0,
    )


def parse_home_cluster(data: bytes) -> HomeCluster:
    """Parse the answer to `/clusterUser`.  Raises DirectoryError for an invalid document."""
    document = _read(data, "result", "clusterUser")
    found = document.attributes.get("found", "").lower() == "true"
    return HomeCluster(found, document.loose.get("homeCluster") if found else None)


def _read(data: bytes, *roots: str) -> _UdsDocument:
    if data.count(b"=") > _MOST_ATTRIBUTES:
        raise DirectoryError("the UDS server's answer has too many attributes")
    document = _UdsDocument()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = document.start
    parser.EndElementHandler = document.end
    parser.CharacterDataHandler = document.characters
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as exc:
        raise DirectoryError(f"the UDS server's answer is no XML: {exc}") from exc
    except (ValueError, LookupError) as exc:
        raise DirectoryError("the UDS server's answer is in no encoding that is known") from exc
    if document.root not in roots:
        raise DirectoryError(f"the UDS server answered with {_line(document.root)[:40]!r}")
    return document


def _no_doctype(*_: object) -> None:
    raise DirectoryError("the UDS server's answer has a document type: it is not read")


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text[:256]).strip()


def _contact(user: dict[str, str], source: str) -> Contact | None:
    full = " ".join(filter(None, (user.get("firstName"), user.get("lastName"))))
    name = user.get("displayName") or full or user.get("userName") or ""
    if not name:
        return None
    numbers = [ContactNumber(kind, user[key]) for key, kind in _NUMBERS.items() if key in user]
    return Contact(
        name,
        tuple(each for each in numbers if each.dialed is not None),
        email=user.get("email", ""),
        uri=user.get("directoryUri") or user.get("msUri", ""),
        username=user.get("userName", ""),
        department=user.get("department", ""),
        title=user.get("title", ""),
        sources=(source,),
    )

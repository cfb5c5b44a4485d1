"""One slapd for a test: LDAPS only, a few people, and a reader who may search.

`people` more entries are called "Crowd 000" and so on, to have pages of them; nobody gets more
than `size` entries a search.  Without a bind nothing is found.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tests.peers.process import LOOPBACK, PeerFailed, PeerProcess, accepts, free_port, run_inside
from tests.peers.root import Root

BASE = "ou=people,dc=example,dc=test"
READER = "cn=reader,dc=example,dc=test"
PASSWORD = "a reader's password"
TEMPLATE = Path(__file__).with_name("slapd.conf")
PEOPLE = (
    ("anna", "Anna", "Adler", "+49 (30) 1234-5601", "anna@example.test"),
    ("annabel", "Annabel", "Baum", "1002", "annabel@example.test"),
    ("carl", "Carl", "Adler", "+49 30 12345603", "carl@example.test"),
    ("star", "St*r", "(Odd)", "1099", "star@example.test"),
    ("0815", "0007", "TRUE", "0044", "+49@example.test"),
    ("dora", "Dora", "Drei", "+493012345604", "dora@example.test"),
)


@dataclass(frozen=True)
class Shape:
    """What differs from the usual server."""

    people: int = 0
    size: int = 500
    ca: bytes = b""
    """Who is believed about certificates of clients, as PEM; without it none is asked for."""
    client: str = "nobody"
    """The common name in the certificate that stands for the reader (SASL EXTERNAL)."""


class Slapd:
    """The server in `folder`, which shows the certificate and key of `pem`."""

    def __init__(self, root: Root, folder: Path, pem: bytes, shape: Shape | None = None) -> None:
        shape = shape or Shape()
        self.root = root
        self.folder = folder
        self.address = (LOOPBACK, free_port())
        (folder / "db").mkdir(parents=True)
        (folder / "server.pem").write_bytes(pem)
        (folder / "ca.pem").write_bytes(shape.ca)
        config = TEMPLATE.read_text()
        values = {
            "SIZE": str(shape.size),
            "CA": "ca.pem" if shape.ca else "server.pem",
            "VERIFY": "try" if shape.ca else "never",
            "CLIENT": shape.client,
        }
        for name, value in values.items():
            config = config.replace(f"@{name}@", value)
        (folder / "slapd.conf").write_text(config)
        (folder / "people.ldif").write_text(_ldif(shape.people))
        command = ["/usr/sbin/slapadd", "-q", "-f", "/mnt/slapd.conf", "-l", "/mnt/people.ldif"]
        said = run_inside(root, folder, command)
        if "error" in said.lower() or not list((folder / "db").iterdir()):
            raise PeerFailed(f"slapadd: {said}")
        self.start()

    def start(self) -> None:
        """Start it at its port."""
        url = f"ldaps://{self.address[0]}:{self.address[1]}"
        command = ["/usr/sbin/slapd", "-d", "stats", "-f", "/mnt/slapd.conf", "-h", url]
        self.process = PeerProcess(self.root, self.folder, "slapd", command)
        self.process.wait_until(lambda: accepts(self.address))

    def stop(self) -> None:
        """Kill it, as a crash would, and see that it is gone."""
        self.process.kill()
        deadline = time.monotonic() + 5
        while accepts(self.address) and time.monotonic() < deadline:
            time.sleep(0.01)

    @property
    def operations(self) -> list[str]:
        """The lines of its log about what clients have asked for."""
        lines = self.process.log.read_text(errors="replace").splitlines()
        return [line for line in lines if " op=" in line and "UNBIND" not in line]


def _ldif(people: int) -> str:
    entries = [
        "dn: dc=example,dc=test\nobjectClass: dcObject\nobjectClass: organization\n"
        "o: example\ndc: example\n",
        f"dn: {BASE}\nobjectClass: organizationalUnit\nou: people\n",
        f"dn: {READER}\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: {PASSWORD}\n",
    ]
    for uid, given, sn, number, mail in PEOPLE:
        entries.append(
            f"dn: uid={uid},{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {given} {sn}\n"
            f"givenName: {given}\nsn: {sn}\nmail: {mail}\ntelephoneNumber: {number}\n"
        )
    entries += (
        f"dn: uid=crowd{one:03},{BASE}\nobjectClass: inetOrgPerson\nuid: crowd{one:03}\n"
        f"cn: Crowd {one:03}\nsn: {one:03}\n"
        for one in range(people)
    )
    return "\n".join(entries)

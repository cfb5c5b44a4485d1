"""What a lab is made of: its users, its extensions, its addresses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from softphone.errors import ConfigurationError
from softphone.lab.pending_enrollment import PendingEnrollment
from softphone.sans_io import Transport
from softphone.security import CryptoSuite

MOST_OF_A_CROWD = 10_000

EXTENSIONS = {
    "600": "echo: hear yourself",
    "601": "a 440 Hz tone",
    "602": "hold music",
    "603": "silence",
    "*5USER": "join USER's call as a third party",
    "*72USER": "forward all of your calls to USER; *72 alone: to yourself again",
}
"""What the lab answers itself."""
FIRST_NUMBER = 1001


@dataclass(frozen=True, slots=True)
class Login:
    """How a user shows who he is: by client certificate, by bearer token, or by digest."""

    transport: Transport
    certificate: bool = False
    token: bool = False

    @property
    def secure(self) -> bool:
        """Whether the user's leg may carry SRTP: only over TLS, as CUCM has it."""
        return self.transport is Transport.TLS


@dataclass(frozen=True, slots=True)
class LabUser:
    """One user of the lab; `persona` is what its account file says it speaks like.

    With `is_load_user` it has an account and nothing else: no chat, no place in the directory.
    """

    name: str
    login: Login
    persona: str = "standard"
    is_load_user: bool = False

    @property
    def device(self) -> str:
        """The name of the user's device: that of a Jabber."""
        return f"CSF{self.name.upper()}"


@dataclass(frozen=True, slots=True)
class SharedLine:
    """A line that rings at several users' phones at once; `name` is what is called."""

    name: str
    users: tuple[str, ...]


def make_load_users(count: int) -> tuple[LabUser, ...]:
    """Users load00001 and on, each with a password, over TLS.  Raises ConfigurationError."""
    if not 0 <= count <= MOST_OF_A_CROWD:
        raise ConfigurationError(f"--users {count}: expected 0 to {MOST_OF_A_CROWD:,}")
    login = Login(Transport.TLS)
    return tuple(LabUser(f"load{n:05}", login, is_load_user=True) for n in range(1, count + 1))


@dataclass(frozen=True, slots=True)
class LabConfig:
    """`host` is the loopback address that everything listens at; port 0 is any free one.

    With `capf` it issues certificates, too, to devices as `capf_orders` have it, else to each
    once and by a string; with `files` it serves trust lists and configurations, and issues
    certificates that these can be encrypted to; with `tvs` it says of certificates whether it
    knows them; with `directory` it has one, as CUCM's UDS, and calls come from numbers; with
    `chat` Prosody is started for its users. With `delayed_offer`,
    INVITEs to users carry no session description, as CUCM's do. `vouches` has the registrar say
    that it speaks for the far ends of calls. A callee is alerted for `alerting_patience`
    seconds. `nodes` servers stand beside one another, by TLS; with `oauth` there is one more
    port, for tokens. With `clear_music` what a held phone hears comes from a server without
    SRTP, and its call is no more secure than that; with `music_suite` from one that knows that
    crypto suite only. A call to the name of one of `shared_lines` rings at all of its users.
    `registration_rate` new connections a second may register,
    `registration_burst` at once; who comes too early gets 503 and a Retry-After. The
    certificates of devices last for `certificate_lifetime` seconds.
    """

    host: str = "127.0.0.1"
    tls_port: int = 0
    nodes: int = 1
    oauth: bool = False
    oauth_port: int = 0
    tcp_port: int = 0
    udp_port: int = 0
    capf: bool = False
    capf_port: int = 0
    capf_orders: tuple[PendingEnrollment, ...] = ()
    files: bool = False
    tftp_port: int = 0
    http_port: int = 0
    https_port: int = 0
    tvs: bool = False
    tvs_port: int = 0
    directory: bool = False
    directory_port: int = 0
    chat: bool = False
    media_ports: tuple[int, int] = (30000, 39999)
    delayed_offer: bool = True
    vouches: bool = True
    registration_expires: int = 120
    registration_rate: float = 100.0
    registration_burst: int = 400
    alerting_patience: float = 60.0
    clear_music: bool = False
    music_suite: CryptoSuite | None = None
    shared_lines: tuple[SharedLine, ...] = ()
    certificate_lifetime: float = 30 * 86400.0
    users: tuple[LabUser, ...] = (
        LabUser("alice", Login(Transport.TLS, certificate=True)),
        LabUser("bob", Login(Transport.TLS, certificate=True)),
        LabUser("dave", Login(Transport.TLS)),
        LabUser("carol", Login(Transport.UDP)),
    )

    def __post_init__(self) -> None:
        """Raises ConfigurationError: the lab is for this machine only, and for its own devices."""
        try:
            loopback = ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ConfigurationError(
                f"the lab listens at a loopback address only, such as 127.0.0.1, not {self.host!r}"
            )
        enrolling = [user.device for user in self.users if user.login.certificate]
        for order in self.capf_orders:
            if order.device not in enrolling:
                raise ConfigurationError(
                    f"{order.device} does not enroll at the lab: {', '.join(enrolling)} do"
                )
        for line in self.shared_lines:
            strangers = [name for name in line.users if self.user(name) is None]
            if strangers or not line.users or self.called(line.name) is not None:
                raise ConfigurationError(
                    f"shared line {line.name!r}: expected a name of its own and users of the lab,"
                    f" not {', '.join(strangers or line.users) or 'nobody'}"
                )

    def user(self, name: str | None) -> LabUser | None:
        """The user of that name."""
        return next((user for user in self.users if user.name == name), None)

    def called(self, name: str) -> LabUser | None:
        """Who is called by that name, or by that number."""
        numbered = enumerate(self.users, FIRST_NUMBER)
        return next((user for n, user in numbered if name in (user.name, str(n))), None)

    def number(self, user: LabUser) -> str:
        """A user's number, which the directory has: 1001 and on, in the order of the users."""
        return str(FIRST_NUMBER + self.users.index(user))

    def user_of_device(self, device: str) -> LabUser | None:
        """The user of a device; who shows a password over TLS has none, as with CUCM."""
        found = next((user for user in self.users if user.device == device), None)
        if found is None or (found.login.secure and not found.login.certificate):
            return None
        return found

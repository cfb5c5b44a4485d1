"""The configuration of a lab: its users, extensions and addresses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from softphone.errors import ConfigurationError
from softphone.lab.carrier import CarrierRules
from softphone.lab.pending_enrollment import CapfAuthMode, PendingEnrollment
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
"""The extensions that the lab answers itself."""
FIRST_NUMBER = 1001


@dataclass(frozen=True, slots=True)
class Login:
    """How a user authenticates: by client certificate, by bearer token, or by digest."""

    transport: Transport
    certificate: bool = False
    token: bool = False

    @property
    def secure(self) -> bool:
        """Whether the user's leg may carry SRTP: only over TLS, as CUCM has it."""
        return self.transport is Transport.TLS


@dataclass(frozen=True, slots=True)
class LabUser:
    """One user of the lab; `persona` is the one in its account file.

    A user with `is_load_user` has an account only: no chat and no entry in the directory.
    """

    name: str
    login: Login
    persona: str = "standard"
    is_load_user: bool = False

    @property
    def device(self) -> str:
        """The name of the user's device, as that of a Jabber client."""
        return f"CSF{self.name.upper()}"


@dataclass(frozen=True, slots=True)
class SharedLine:
    """A line that rings at the phones of several users; `name` is what callers dial."""

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
    """The configuration of a lab.

    * `host`: the loopback address that everything listens on; any port 0 is a free port.
    * `capf`: issue certificates, as `capf_orders` say, else to each device once, by a string.
    * `files`: serve trust lists and configurations, and issue certificates to encrypt them to.
    * `tvs`: answer whether a certificate is known.
    * `directory`: serve a directory as CUCM's UDS does, and show callers by number.
    * `dns`: with the directory, serve the DNS records by which a user's services are found.
    * `voicemail`: serve a mailbox for each user as Unity Connection does, and tell phones of new
      messages.
    * `im_presence`: run an IM and Presence node for the users with a password.
    * `edge`: with the directory, run an edge server (Expressway) in front of all of this, and serve
      the DNS records that users outside see.
    * `sign_on`: run an authorization server for the users, whose tokens the other services take.
    * `chat`: start Prosody for the users.
    * `delayed_offer`: send INVITEs to users without a session description, as CUCM does.
    * `vouches`: have the registrar state that it vouches for the far ends of calls.
    * `alerting_patience`: the seconds that a callee is alerted.
    * `nodes`: the number of servers, side by side and over TLS.
    * `oauth`: listen on one more port, for bearer tokens; with `files`, users who authenticate by a
      token have devices that register there.
    * `clear_music`: play music on hold from a server without SRTP, which lowers the call's level.
    * `music_suite`: play music on hold from a server that supports this crypto suite only.
    * `shared_lines`: lines that ring at all of their users.
    * `registration_rate`, `registration_burst`: new connections that may register, a second and at
      once; any others get 503 with Retry-After.
    * `connections`: how many each server accepts at once.
    * `carrier`: demand what a carrier does, each rule by a switch of its own.
    * `resume_sessions`: give tickets of TLS 1.3 to clients, whose certificates are judged again.
    * `certificate_lifetime`: the seconds that the certificates of devices are valid.
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
    dns: bool = False
    dns_port: int = 0
    voicemail: bool = False
    voicemail_port: int = 0
    im_presence: bool = False
    edge: bool = False
    edge_port: int = 0
    edge_sip_port: int = 0
    sign_on: bool = False
    sign_on_port: int = 0
    chat: bool = False
    media_ports: tuple[int, int] = (30000, 39999)
    delayed_offer: bool = True
    vouches: bool = True
    registration_expires: int = 120
    registration_rate: float = 100.0
    registration_burst: int = 400
    connections: int = 4096
    alerting_patience: float = 60.0
    clear_music: bool = False
    music_suite: CryptoSuite | None = None
    shared_lines: tuple[SharedLine, ...] = ()
    resume_sessions: bool = False
    certificate_lifetime: float = 30 * 86400.0
    carrier: CarrierRules | None = None
    users: tuple[LabUser, ...] = (
        LabUser("alice", Login(Transport.TLS, certificate=True)),
        LabUser("bob", Login(Transport.TLS, certificate=True)),
        LabUser("dave", Login(Transport.TLS)),
        LabUser("carol", Login(Transport.UDP)),
    )

    def __post_init__(self) -> None:
        """Raises ConfigurationError: a lab serves this machine and its own devices only."""
        try:
            loopback = ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ConfigurationError(
                f"the lab listens at a loopback address only, such as 127.0.0.1, not {self.host!r}"
            )
        if self.connections < 1:
            raise ConfigurationError(f"{self.connections} connections: the lab accepts 1 at least")
        enrolling = [user.device for user in self.users if user.login.certificate]
        for order in self.capf_orders:
            if order.device not in enrolling:
                raise ConfigurationError(
                    f"{order.device} does not enroll at the lab: {', '.join(enrolling)} do"
                )
        self._check_strings()
        for line in self.shared_lines:
            strangers = [name for name in line.users if self.user(name) is None]
            if strangers or not line.users or self.called(line.name) is not None:
                raise ConfigurationError(
                    f"shared line {line.name!r}: expected a name of its own and users of the lab,"
                    f" not {', '.join(strangers or line.users) or 'nobody'}"
                )

    def _check_strings(self) -> None:
        """Raise ConfigurationError for an order whose generated string would not be shown."""
        with_string: set[str] = set()
        for order in self.capf_orders:
            by_string = order.mode is CapfAuthMode.STRING
            if by_string and order.string is None and order.device in with_string:
                raise ConfigurationError(
                    f"{order.device} enrolls by a string twice, and only the first would be shown:"
                    f" give the digits yourself, {order.device}=string:1234"
                )
            with_string |= {order.device} if by_string else set()

    def user(self, name: str | None) -> LabUser | None:
        """The user with that name; None when there is none."""
        return next((user for user in self.users if user.name == name), None)

    def called(self, name: str) -> LabUser | None:
        """The user with that name or number; None when there is none."""
        numbered = enumerate(self.users, FIRST_NUMBER)
        return next((user for n, user in numbered if name in (user.name, str(n))), None)

    def number(self, user: LabUser) -> str:
        """A user's number in the directory: 1001 and on, in the order of the users."""
        return str(FIRST_NUMBER + self.users.index(user))

    def user_of_device(self, device: str) -> LabUser | None:
        """The user of a device; None for a user with a password over TLS, as with CUCM."""
        found = next((user for user in self.users if user.device == device), None)
        if found is None:
            return None
        login = found.login
        if login.secure and not login.certificate and not (login.token and self.oauth):
            return None
        return found

"""The user class for locustfiles, and the accounts that its users take.

Of a users file each Locust user has an account of its own: in a distributed run the master gives
them out, by messages of Locust's.
"""

from __future__ import annotations

import itertools
import logging
import threading
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from gevent import monkey
from locust import User, events
from locust.exception import RescheduleTask, StopUser
from locust.runners import MasterRunner, WorkerRunner

from softphone.config import load_account
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.load.locust.account_pool import AccountPool
from softphone.load.locust.process_client import CallProcess, SharedCallProcess
from softphone.load.locust.steps import RequestReporter, SoftphoneClient, StepFailed, UserLost
from softphone.load.measure import TOLERATE_LATE
from softphone.load.plan import BaseSpec, LoadPlan, UserSpec, read_users

logger = logging.getLogger("softphone.load")

ACCOUNT = "softphone-account"
"""The message by which a worker asks for an account, and by which the master answers."""
ACCOUNT_BACK = "softphone-account-back"
MASTER_PATIENCE = 10.0
"""Seconds that the master may take to give out an account."""


class _TaskFailed(StepFailed, RescheduleTask):
    """A failed step, which Locust takes as the end of the task."""


class _UserLost(UserLost, StopUser):
    """A failed step after which no other can succeed; Locust takes it as the end of the user."""


# Accounts -----------------------------------------------------------------------------------------


class _LocalAccounts:
    """Gives out the accounts of users files to the users of this process, or of all workers."""

    def __init__(self) -> None:
        self._pools: dict[str, AccountPool] = {}

    def take(self, file: str, count: int, owner: str = "") -> int | None:
        """Return the number of a free account of a file; None without one."""
        return self._pools.setdefault(file, AccountPool(count)).take(owner)

    def give_back(self, file: str, number: int, owner: str = "") -> None:
        """Return an account."""
        if file in self._pools:
            self._pools[file].give_back(number, owner)

    def forget_others(self, owners: set[str]) -> None:
        """Take back the accounts of workers that have ended."""
        for pool in self._pools.values():
            pool.forget_others(owners)


class _MasterAccounts:
    """Answers the workers' questions for accounts; made on the master, which runs no users."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._accounts = _LocalAccounts()
        runner.register_message(ACCOUNT, self._on_wanted)
        runner.register_message(ACCOUNT_BACK, self._on_back)

    def _on_wanted(self, environment: Any, msg: Any, **kwargs: Any) -> None:
        file, count, question = msg.data
        number = self._accounts.take(file, count, msg.node_id)
        if number is None:
            self._accounts.forget_others({client.id for client in self._runner.clients.all})
            number = self._accounts.take(file, count, msg.node_id)
        self._runner.send_message(ACCOUNT, [question, number], client_id=msg.node_id)

    def _on_back(self, environment: Any, msg: Any, **kwargs: Any) -> None:
        file, number = msg.data
        self._accounts.give_back(file, number, msg.node_id)


class _WorkerAccounts:
    """Asks the master for accounts."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._questions = itertools.count(1)
        self._asked: dict[int, threading.Event] = {}
        self._numbers: dict[int, int | None] = {}
        runner.register_message(ACCOUNT, self._on_answer)

    def _on_answer(self, environment: Any, msg: Any, **kwargs: Any) -> None:
        question, number = msg.data
        self._numbers[question] = number
        if question in self._asked:
            self._asked[question].set()

    def take(self, file: str, count: int) -> int | None:
        """Return the number of a free account of a file; None without one."""
        question = next(self._questions)
        answered = self._asked[question] = threading.Event()
        self._runner.send_message(ACCOUNT, [file, count, question])
        try:
            if not answered.wait(MASTER_PATIENCE):
                raise ConfigurationError(
                    f"the master gave out no account of {file} within {MASTER_PATIENCE:g} s: start"
                    " it with the same locustfile as its workers"
                )
        finally:
            del self._asked[question]
        return self._numbers.pop(question)

    def give_back(self, file: str, number: int) -> None:
        """Return an account."""
        self._runner.send_message(ACCOUNT_BACK, [file, number])


_accounts: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""What gives out accounts, by Locust's environment."""


def _accounts_of(environment: Any) -> Any:
    if environment not in _accounts:
        runner = environment.runner
        if isinstance(runner, MasterRunner):
            _accounts[environment] = _MasterAccounts(runner)
        elif isinstance(runner, WorkerRunner):
            _accounts[environment] = _WorkerAccounts(runner)
        else:
            _accounts[environment] = _LocalAccounts()
    return _accounts[environment]


def _on_init(environment: Any, **kwargs: Any) -> None:
    """Be ready for the workers' questions before their first user."""
    _accounts_of(environment)


events.init.add_listener(_on_init)

# The user -----------------------------------------------------------------------------------------


class SoftphoneUser(User):
    """A Locust user with a phone: `self.client` registers and calls.

    `host` (or Locust's `-H`) is an account file, or the registrar, as in "sips:pbx.example.com";
    then `users` says who calls.  Each user has an account of its own of the file `users` (CSV or
    TOML, as for `softphone load --users`); without one all share the account of `host`.

    The server's certificate is verified, against `ca` where `host` is a registrar ("system": the
    system's authorities), and media are encrypted, unless the account file, `host` or `srtp` say
    otherwise.  `srtp`, `suites` and `codecs` are those of `softphone load`.

    `most_calls` is how many calls a process of Locust may have up: its media ports, of `ports`, are
    checked before the first.  `local_host` is the address to send from, `play` the WAV file that
    calls play in place of tones.  A call with a MOS below `least_mos` has failed.  `tolerate_late`
    is the share of packets, in percent, that may leave late before the run is invalid.
    """

    abstract = True
    users: ClassVar[str | None] = None
    ca: ClassVar[tuple[str, ...]] = ()
    registers: ClassVar[bool] = True
    srtp: ClassVar[str | None] = None
    suites: ClassVar[tuple[str, ...]] = ()
    codecs: ClassVar[tuple[str, ...]] = ()
    answer_timeout: ClassVar[float] = 32.0
    play: ClassVar[str | None] = None
    ports: ClassVar[tuple[int, int]] = (40000, 49999)
    most_calls: ClassVar[int] = 200
    local_host: ClassVar[str | None] = None
    least_mos: ClassVar[float | None] = None
    tolerate_late: ClassVar[float] = TOLERATE_LATE

    _shared: ClassVar[SharedCallProcess]
    _first_texts: ClassVar[dict[str, str]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._shared, cls._first_texts = SharedCallProcess(), {}

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._account: int | None = None
        fire = environment.events.request.fire
        reporter = RequestReporter(fire, self.context, self._first_texts)
        self.client = SoftphoneClient(
            self._connect,
            self._disconnect,
            reporter,
            least_mos=self.least_mos,
            failed=_TaskFailed,
            lost=_UserLost,
        )
        """What the user calls with."""

    def on_start(self) -> None:
        """Register; a user that cannot stops, as in `softphone load`."""
        try:
            self.client.register()
        except StepFailed:
            # It has been counted; an error that is raised here would be shown with a traceback.
            self.stop()

    def on_stop(self) -> None:
        """Unregister."""
        self.client.close()

    @classmethod
    def plan(cls) -> LoadPlan:
        """The plan of the call process.  Raises ConfigurationError."""
        if not cls.host:
            raise ConfigurationError(
                f"{cls.__name__}: give an account file or a registrar as host, or by -H"
            )
        server = cls.host.lower().startswith(("sip:", "sips:"))
        base = BaseSpec(
            account=None if server else cls.host,
            server=cls.host if server else None,
            registers=cls.registers,
            ca=tuple(cls.ca),
            srtp=cls.srtp,
            suites=tuple(cls.suites),
            codecs=tuple(cls.codecs),
        )
        return LoadPlan(
            scenario="locust",
            # Each call has a target of its own; it is outside of this process.
            target="",
            base=base,
            users=cls._users_of(server=server),
            calls=cls.most_calls,
            play=cls.play,
            ports=cls.ports,
            host=cls.local_host,
            answer_timeout=cls.answer_timeout,
            tolerate_late=cls.tolerate_late,
        )

    @classmethod
    def _users_of(cls, *, server: bool) -> tuple[UserSpec, ...]:
        if cls.users is not None:
            return read_users(Path(cls.users))
        if server:
            raise ConfigurationError(
                f"{cls.__name__}: host is a registrar; give users, a file of those who call"
            )
        return (UserSpec(load_account(cls.host).config.aor),)

    def _connect(self) -> tuple[CallProcess, int]:
        """Take the process, and an account.  Raises what `CallProcess` and `plan` do."""
        if not monkey.is_module_patched("threading"):
            raise ConfigurationError(
                "Locust runs without gevent's patches, so that the wait of one user would stop all:"
                " unset LOCUST_SKIP_MONKEY_PATCH"
            )
        process = self._shared.acquire(self.plan)
        if self.users is None:
            return process, 0
        count = len(process.plan.users)
        try:
            self._account = _accounts_of(self.environment).take(self.users, count)
            if self._account is None:
                raise ConfigurationError(
                    f"{self.users} has {count} users, and Locust starts more of them"
                )
        except BaseException:
            self._shared.release()
            raise
        return process, self._account

    def _disconnect(self) -> tuple[str, ...]:
        self._give_back()
        try:
            return self._shared.release()
        except SoftphoneError as error:
            logger.warning("the call process could not be ended as it should: %s", error)
            return ()

    def _give_back(self) -> None:
        """Return the account, for another user."""
        number, self._account = self._account, None
        if number is not None:
            _accounts_of(self.environment).give_back(self.users, number)

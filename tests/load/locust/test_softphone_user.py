"""The user class beside stand-ins of Locust's: its plan, its accounts, and how it starts and ends.

An import of Locust would replace this process's sockets and threads; `test_locust_runs` has it.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace

import pytest

from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.load.locust.process_client import CallProcessLost
from softphone.load.locust.steps import StepFailed

MODULE = "softphone.load.locust.softphone_user"


class Hook:
    """An event of Locust's."""

    def __init__(self):
        self.listeners = []
        self.fired = []

    def add_listener(self, listener):
        self.listeners.append(listener)

    def fire(self, **values):
        self.fired.append(values)


class Runner:
    """Any runner: what is registered and sent; `clients` are the workers that are there."""

    def __init__(self, *workers):
        self.handlers = {}
        self.sent = []
        self.clients = SimpleNamespace(all=[SimpleNamespace(id=each) for each in workers])

    def register_message(self, name, handler):
        self.handlers[name] = handler

    def send_message(self, name, data, client_id=None):
        self.sent.append((name, data, client_id))

    def receive(self, name, data, node_id="master"):
        msg = SimpleNamespace(data=data, node_id=node_id)
        self.handlers[name](environment=None, msg=msg)


class Master(Runner):
    """A master's."""


class Worker(Runner):
    """A worker's, whose master answers at once with `number`."""

    number = 1
    answers = True

    def send_message(self, name, data, client_id=None):
        super().send_message(name, data, client_id)
        if self.answers and len(data) == 3:
            self.receive(name, [data[2], self.number])
            self.receive(name, [data[2] + 100, None])  # to another's question


class User:
    """The part of Locust's user class that is used."""

    host = None

    def __init__(self, environment):
        self.environment = environment
        self.stopped = False

    def context(self):
        return {}

    def stop(self):
        self.stopped = True


@pytest.fixture
def module(monkeypatch):
    """The module, imported beside the stand-ins, and gone after the test."""
    locust, exception, runners = map(ModuleType, ("locust", "locust.exception", "locust.runners"))
    locust.User, locust.events = User, SimpleNamespace(init=Hook())
    exception.RescheduleTask = type("RescheduleTask", (Exception,), {})
    exception.StopUser = type("StopUser", (Exception,), {})
    runners.MasterRunner, runners.WorkerRunner = Master, Worker
    gevent = ModuleType("gevent")
    gevent.monkey = SimpleNamespace(is_module_patched=lambda name: name == "threading")
    for each in (gevent, locust, exception, runners):
        monkeypatch.setitem(sys.modules, each.__name__, each)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    found = importlib.import_module(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, found)
    return found


class Environment:
    """Locust's environment."""

    def __init__(self, runner=None):
        self.runner = runner or Runner()
        self.events = SimpleNamespace(request=Hook())

    def failures(self):
        return [str(each["exception"]) for each in self.events.request.fired]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "alice.toml").write_text(
        'aor = "sip:alice@pbx.test"\nregistrar = "sips:pbx.test"\n[tls]\nca = "ca.crt"\n'
    )
    (tmp_path / "ca.crt").write_text("no certificate is read here")
    (tmp_path / "users.csv").write_text("aor\nsip:a@pbx.test\nsip:b@pbx.test\n")
    return tmp_path


def user_class(module, **attributes):
    return type("Caller", (module.SoftphoneUser,), attributes)


class Shared:
    """A call process for all users, which is not started."""

    def __init__(self, plan, *, reasons=(), error=None):
        self.process = SimpleNamespace(plan=plan, run_step=self.run_step)
        self.reasons, self.error = reasons, error
        self.users = 0
        self.steps = []

    def run_step(self, step, **arguments):
        self.steps.append((step, arguments))
        return {"ms": 1.0}

    def acquire(self, make):
        self.users += 1
        return self.process

    def release(self):
        self.users -= 1
        if self.error is not None:
            raise self.error
        return self.reasons


def test_the_plan_of_an_account_file(module, folder):
    plan = user_class(module, host=str(folder / "alice.toml"), most_calls=7).plan()
    assert (plan.base.account, plan.base.server) == (str(folder / "alice.toml"), None)
    assert [each.aor for each in plan.users] == ["sip:alice@pbx.test"]
    assert plan.calls == 7
    assert plan.base.srtp is None  # what the account demands, which is SRTP by default


def test_the_plan_of_a_registrar_needs_users(module, folder):
    caller = user_class(module, host="sips:pbx.test", ca=("ca.crt",))
    with pytest.raises(ConfigurationError, match="give users"):
        caller.plan()
    caller.users = str(folder / "users.csv")
    plan = caller.plan()
    assert (plan.base.account, plan.base.server) == (None, "sips:pbx.test")
    assert plan.base.ca == ("ca.crt",)
    assert len(plan.users) == 2
    with pytest.raises(ConfigurationError, match="by -H"):
        user_class(module).plan()


def test_each_class_has_a_call_process_of_its_own(module):
    first, second = user_class(module), user_class(module)
    assert first._shared is not second._shared


def with_shared(module, folder, environment, **settings):
    caller = user_class(module, host="sips:pbx.test", users=str(folder / "users.csv"))
    caller._shared = Shared(caller.plan(), **settings)
    return caller, lambda: caller(environment)


def test_users_of_a_file_take_accounts_and_give_them_back(module, folder):
    environment = Environment()
    caller, make = with_shared(module, folder, environment)
    first, second, third = make(), make(), make()
    for each in (first, second, third):
        each.on_start()
    assert [step for step in caller._shared.steps if step[0] == "register"] == [
        ("register", {"user": 0}),
        ("register", {"user": 1}),
    ]
    assert (first.stopped, second.stopped, third.stopped) == (False, False, True)
    assert "has 2 users, and Locust starts more of them" in environment.failures()[-1]
    assert caller._shared.users == 2
    first.on_stop()
    third.on_stop()
    assert caller._shared.users == 1
    fourth = make()
    fourth.on_start()
    assert caller._shared.steps[-1] == ("register", {"user": 0})


def test_without_gevents_patches_no_user_begins(module, folder, monkeypatch):
    monkeypatch.setattr(module.monkey, "is_module_patched", lambda name: False)
    environment = Environment()
    caller, make = with_shared(module, folder, environment)
    user = make()
    user.on_start()
    assert user.stopped
    assert "unset LOCUST_SKIP_MONKEY_PATCH" in environment.failures()[0]
    assert caller._shared.users == 0


def test_users_without_a_file_share_the_account(module, folder):
    caller = user_class(module, host=str(folder / "alice.toml"))
    caller._shared = Shared(caller.plan())
    users = [caller(Environment()) for _ in range(2)]
    for each in users:
        each.on_start()
        each.on_stop()
    assert [step for step in caller._shared.steps if step[0] == "register"] == [
        ("register", {"user": 0})
    ] * 2
    assert caller._shared.users == 0


def test_an_invalid_run_is_a_failure_and_a_process_that_does_not_end_a_warning(
    module, folder, caplog
):
    environment = Environment()
    _, make = with_shared(module, folder, environment, reasons=("too slow",))
    user = make()
    user.on_start()
    user.on_stop()
    assert environment.failures()[-1] == "the run is invalid: too slow"
    _, make = with_shared(module, folder, Environment(), error=LocalProtocolError("no user"))
    user = make()
    user.on_start()
    user.on_stop()
    assert "could not be ended as it should: no user" in caplog.text


def test_failures_end_the_task_and_a_lost_process_the_user(module, folder):
    """By the exceptions of Locust that mean that."""
    exception = sys.modules["locust.exception"]
    caller, make = with_shared(module, folder, Environment())
    user = make()
    user.on_start()

    def lost(number):
        raise CallProcessLost("it has ended")

    caller._shared.process.begin_step = lambda step, **arguments: 1
    caller._shared.process.await_step = lost
    with pytest.raises(exception.StopUser), user.client.dial("600"):
        pass
    assert isinstance(user.client.failure("x"), exception.RescheduleTask)
    assert isinstance(user.client.failure("x"), StepFailed)


def test_the_master_gives_each_account_once_and_forgets_workers_that_are_gone(module):
    runner = Master("one", "two")
    (listener,) = sys.modules["locust"].events.init.listeners
    listener(environment=Environment(runner), web_ui=None)
    for node in ("one", "gone", "two"):
        runner.receive(module.ACCOUNT, ["users.csv", 2, 9], node)
    assert runner.sent == [
        (module.ACCOUNT, [9, 0], "one"),
        (module.ACCOUNT, [9, 1], "gone"),
        (module.ACCOUNT, [9, 1], "two"),
    ]
    runner.receive(module.ACCOUNT, ["users.csv", 2, 9], "one")
    assert runner.sent[-1] == (module.ACCOUNT, [9, None], "one")
    runner.receive(module.ACCOUNT_BACK, ["users.csv", 0], "one")
    runner.receive(module.ACCOUNT_BACK, ["other.csv", 0], "one")
    runner.receive(module.ACCOUNT, ["users.csv", 2, 9], "two")
    assert runner.sent[-1] == (module.ACCOUNT, [9, 0], "two")


def test_a_worker_asks_the_master(module, folder):
    environment = Environment(Worker())
    caller, make = with_shared(module, folder, environment)
    user = make()
    user.on_start()
    assert caller._shared.steps == [("register", {"user": 1})]
    user.on_stop()
    file = str(folder / "users.csv")
    assert environment.runner.sent == [
        (module.ACCOUNT, [file, 2, 1], None),
        (module.ACCOUNT_BACK, [file, 1], None),
    ]


def test_a_master_that_does_not_answer_is_a_failure(module, folder, monkeypatch):
    monkeypatch.setattr(module, "MASTER_PATIENCE", 0.01)
    environment = Environment(Worker())
    environment.runner.answers = False
    caller, make = with_shared(module, folder, environment)
    user = make()
    user.on_start()
    assert user.stopped
    assert "the master gave out no account" in environment.failures()[0]
    assert caller._shared.users == 0

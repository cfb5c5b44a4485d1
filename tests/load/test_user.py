"""A user: registered with measurement, patient with a busy registrar, closed without a trace."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError, LocalProtocolError, RegistrationRefused
from softphone.load import user as room
from softphone.load.tally import Tally
from softphone.load.user import LoadUser


class Account:
    """An account whose registrar gives these answers, one a start; "" is a welcome."""

    def __init__(self, config, answers):
        self.config = config
        self.answers = answers
        self.aor = "sip:a@h"
        self.closed = False

    async def start(self):
        status = self.answers.pop(0)
        if status:
            raise RegistrationRefused("no", status=status)

    async def close(self):
        self.closed = True


class Config:
    """A configuration with a registrar."""

    registrar = "sip:h"


@pytest.fixture
def user(monkeypatch):
    """`user(503, 0)`: a user and its tally; the registrar first says 503, then welcomes."""

    def make(*answers, config=Config):
        tally, left = Tally(), list(answers)
        monkeypatch.setattr(room, "Account", lambda config, setup: Account(config, left))
        monkeypatch.setattr(room, "FIRST_WAIT", 0.001)
        return LoadUser(1, config, None, tally=lambda: tally, clock=lambda: 5.0), tally

    return make


async def test_a_registration_is_counted_and_timed(user):
    made, tally = user(0)
    await made.register()
    assert made.ready
    assert (tally.registrations, tally.registered, tally.registration_ms.total) == (1, 1, 1)
    account = made.account
    await made.close()
    assert account.closed
    assert not made.ready


async def test_a_refusal_is_counted_by_cause(user):
    made, tally = user(403)
    with pytest.raises(RegistrationRefused):
        await made.register(tries=4)
    assert tally.registrations_failed == {"403 Forbidden": 1}
    assert made.refusal == "403 Forbidden"
    with pytest.raises(LocalProtocolError):
        _ = made.account


async def test_a_busy_registrar_is_asked_again(user):
    made, tally = user(503, 503, 0)
    await made.register(tries=4)
    assert made.ready
    assert made.refusal == ""
    assert (tally.registrations, tally.registered) == (3, 1)
    assert tally.registrations_failed == {"503 Service Unavailable": 2}


async def test_but_not_for_ever(user):
    made, tally = user(503, 503, 503)
    with pytest.raises(RegistrationRefused):
        await made.register(tries=2)
    assert tally.registrations == 2


async def test_a_certificate_of_ours_that_is_no_good_is_counted_too(user):
    def broken():
        raise ConfigurationError("our certificate expired")

    made, tally = user(config=broken)
    with pytest.raises(ConfigurationError):
        await made.register()
    assert tally.registrations_failed == {"own configuration": 1}


async def test_a_user_that_only_calls_registers_nowhere(user):
    class Direct:
        registrar = None

    made, tally = user(0, config=Direct)
    await made.register()
    assert (made.ready, tally.registrations, tally.registered) == (True, 0, 0)

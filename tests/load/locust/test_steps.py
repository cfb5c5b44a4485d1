"""What Locust counts of each step, and what a step that fails raises."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.load.locust.process_client import CallProcessLost, StepRefused
from softphone.load.locust.steps import RequestReporter, SoftphoneClient, StepFailed, UserLost

FIGURES = {"mos": 4.41, "jitter_ms": 0.5, "loss_percent": 0.0, "octets": 16000, "bye_ms": 2.0}
ANSWERS = {
    "register": {"ms": 30.0},
    "unregister": {},
    "dial": {"ms": 12.0, "suite": "AEAD_AES_256_GCM"},
    "talk": {"up": True},
    "digits": {"ms": 320.0},
    "hold": {"ms": 3.0},
    "resume": {"ms": 4.0},
    "transfer": {"ms": 5.0},
    "end": {**FIGURES, "cause": ""},
}


class Process:
    """A call process that answers as it is told."""

    def __init__(self, **answers):
        self.answers = ANSWERS | answers
        self.asked = []

    def begin_step(self, step, **arguments):
        self.asked.append((step, arguments))
        return len(self.asked)

    def await_step(self, number):
        answer = self.answers[self.asked[number - 1][0]]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def run_step(self, step, **arguments):
        return self.await_step(self.begin_step(step, **arguments))


class User:
    """A client, its process, and the requests that it reports."""

    def __init__(self, *, reasons=(), least_mos=None, connect=None, **answers):
        self.requests = []
        self.process = Process(**answers)
        self.left = 0
        reporter = RequestReporter(self.fire, lambda: {"user": "me"}, {})
        self.client = SoftphoneClient(
            connect or (lambda: (self.process, 3)),
            lambda: self.leave(reasons),
            reporter,
            least_mos=least_mos,
        )

    def leave(self, reasons):
        self.left += 1
        return reasons

    def fire(self, **values):
        assert values["context"]["user"] == "me"
        assert values["start_time"] > 0
        self.requests.append(values)

    def counted(self):
        """The requests as Locust's tables have them."""
        return [
            (
                each["request_type"],
                each["name"],
                each["response_time"],
                "" if each["exception"] is None else repr(each["exception"]),
            )
            for each in self.requests
        ]


REFUSED = StepRefused("486 Busy Here", "486 Busy Here: the far end is busy")


def test_a_call_is_a_request_for_each_of_its_parts():
    user = User()
    result = user.client.call("600", seconds=5, digits="12#")
    assert result.ok
    assert (result.setup_ms, result.suite, result.mos) == (12.0, "AEAD_AES_256_GCM", 4.41)
    assert user.counted() == [
        ("SIP", "REGISTER", 30.0, ""),
        ("SIP", "INVITE", 12.0, ""),
        ("RTP", "DTMF", 320.0, ""),
        ("RTP", "MOS x100", pytest.approx(441.0), ""),
        ("SIP", "BYE", 2.0, ""),
    ]
    assert user.requests[3]["response_length"] == 16000
    assert user.requests[4]["context"] == {
        "user": "me",
        "target": "600",
        "suite": "AEAD_AES_256_GCM",
        "mos": 4.41,
        "jitter_ms": 0.5,
        "loss_percent": 0.0,
    }
    assert [step for step, _ in user.process.asked] == ["register", "dial", "digits", "talk", "end"]
    assert user.process.asked[1] == ("dial", {"user": 3, "target": "600"})


def test_steps_within_a_call_are_requests_of_its_name():
    user = User()
    with user.client.dial("600", name="desk") as call:
        call.hold()
        call.resume()
        call.transfer("601")
    assert [name for _, name, _, _ in user.counted()[1:]] == [
        *("INVITE desk", "re-INVITE hold desk", "re-INVITE resume desk", "REFER desk"),
        *("MOS x100 desk", "BYE desk"),
    ]
    assert call.result.ok


def test_of_users_who_share_an_account_one_registers_it():
    user = User(register={"ms": None})
    user.client.register()
    user.client.register()
    assert user.counted() == []
    assert user.process.asked == [("register", {"user": 3})]


def test_a_call_that_is_refused_is_a_failure_and_no_error_of_the_task():
    user = User(dial=REFUSED)
    result = user.client.call("600", seconds=5)
    assert (result.ok, result.failure) == (False, "486 Busy Here: the far end is busy")
    failed = ("SIP", "INVITE", None, "486 Busy Here: the far end is busy")
    assert user.counted()[1:] == [failed]


def test_a_block_is_not_entered_without_an_answer():
    user = User(dial=REFUSED)
    with pytest.raises(StepFailed) as failed, user.client.dial("600"):
        raise AssertionError("entered")
    assert failed.value.cause == "486 Busy Here"


def test_texts_of_one_cause_are_one_failure_by_the_first():
    """A far end that says something else each time does not fill Locust's table."""
    user = User()
    for text in ("486 Busy Here: until 5", "486 Busy Here: until 6"):
        user.process.answers["dial"] = StepRefused("486 Busy Here", text)
        assert user.client.call("600", seconds=1).failure == text
    assert {said for _, _, _, said in user.counted()[1:]} == {"486 Busy Here: until 5"}
    assert user.requests[-1]["context"]["error"] == "486 Busy Here: until 6"


def test_an_own_refusal_on_security_grounds_is_a_failure():
    text = "the far end demands media in clear"
    user = User(dial=StepRefused("refused by us: srtp_required", text))
    assert user.client.call("600", seconds=1).failure == f"refused by us: srtp_required: {text}"


@pytest.mark.parametrize(
    ("figures", "least_mos", "failed"),
    [
        ({"cause": "no_media", "mos": None}, None, ("RTP", "MOS x100", None, "no_media")),
        ({"mos": 3.1}, 4.0, ("RTP", "MOS x100", pytest.approx(310.0), "MOS below 4")),
        (
            {"cause": "remote", "bye_ms": None},
            None,
            ("SIP", "BYE", None, "the call was dropped: remote"),
        ),
        (
            {"cause": "no answer to BYE", "bye_ms": 5000.0},
            None,
            ("SIP", "BYE", 5000.0, "the call was dropped: no answer to BYE"),
        ),
    ],
)
def test_a_call_that_went_wrong_after_its_answer(figures, least_mos, failed):
    from softphone.load.measure import NO_MEDIA

    figures = figures | ({"cause": NO_MEDIA} if figures.get("cause") == "no_media" else {})
    failed = tuple(NO_MEDIA if each == "no_media" else each for each in failed)
    user = User(end=ANSWERS["end"] | figures, least_mos=least_mos)
    result = user.client.call("600", seconds=1)
    assert result.failure == failed[3]
    assert failed in user.counted()
    assert [each for each in user.counted() if each[3]] == [failed]


def test_a_call_that_ends_before_its_time_ends_the_steps_too():
    ended = ANSWERS["end"] | {"cause": "remote", "bye_ms": None}
    user = User(talk={"up": False}, end=ended)
    with pytest.raises(StepFailed, match="before its time"), user.client.dial("600") as call:
        call.talk(5)
    assert user.counted()[-1] == ("SIP", "BYE", None, "the call was dropped: remote")
    assert call.result.failure == "the call was dropped: remote"


def test_an_interrupted_talk_still_ends_and_counts_the_call():
    """Locust stops a user by an exception in what it waits for."""
    user = User(talk=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        user.client.call("600", seconds=1000)
    assert [name for _, name, _, _ in user.counted()] == ["REGISTER", "INVITE", "MOS x100", "BYE"]


def test_a_failed_registration_is_one_request_and_so_is_a_faulty_account():
    user = User(register=StepRefused("403 Forbidden", "403 Forbidden: not here"))
    with pytest.raises(StepFailed):
        user.client.register()
    assert user.counted() == [("SIP", "REGISTER", None, "403 Forbidden: not here")]

    def connect():
        raise ConfigurationError("there is no file alice.toml")

    user = User(connect=connect)
    assert not user.client.call("600", seconds=1).ok
    assert user.counted() == [
        ("SIP", "REGISTER", None, "own configuration: there is no file alice.toml")
    ]
    user.client.close()
    assert user.left == 0


@pytest.mark.parametrize("step", ["dial", "talk", "end"])
def test_without_its_process_no_user_goes_on(step):
    user = User(**{step: CallProcessLost("the call process has ended with code -9")})
    if step == "end":
        assert "has ended" in user.client.call("600", seconds=1).failure
    else:
        with pytest.raises(UserLost):
            user.client.call("600", seconds=1)
    assert "the call process has ended with code -9" in user.counted()[-1][3] or step == "talk"


def test_leaving_unregisters_and_says_when_the_run_is_invalid(caplog):
    user = User(reasons=("the generator used 95% of a core",))
    user.client.close()
    assert user.left == 0
    user.client.register()
    user.client.close()
    user.client.close()
    assert user.left == 1
    assert user.process.asked[-1] == ("unregister", {"user": 3})
    assert user.counted()[-1] == (
        *("softphone", "generator", None),
        "the run is invalid: the generator used 95% of a core",
    )


def test_a_user_who_cannot_unregister_leaves_all_the_same(caplog):
    user = User(unregister=CallProcessLost("it has ended"))
    user.client.register()
    user.client.close()
    assert user.left == 1
    assert "could not leave as it should: it has ended" in caplog.text

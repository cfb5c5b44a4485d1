"""`softphone load` of subscriptions to message waiting against a real Asterisk."""

from __future__ import annotations

import asyncio
import socket

import pytest

from softphone.load import BaseSpec, LoadPlan, UserSpec, judge_result, parse_expectation
from softphone.load.distribute import RunControl, RunObserver, run_plan
from softphone.load.plan import WorkloadSpec
from tests.support.waiting import until

pytestmark = pytest.mark.peer("asterisk")
EXPECTED = tuple(
    parse_expectation(text)
    for text in ("registered>=100%", "subscribed>=100%", "notified>=100%", "notification_p99<=20s")
)
WAITING = """NOTIFY sip:voicemail@{host}:{port} SIP/2.0\r
Via: SIP/2.0/UDP {own};rport;branch=z9hG4bKmwi{number}\r
From: <sip:voicemail@127.0.0.1>;tag=1\r
To: <sip:voicemail@{host}>\r
Call-ID: mwi{number}@{own}\r
CSeq: 1 NOTIFY\r
Contact: <sip:voicemail@{own}>\r
Max-Forwards: 70\r
Event: message-summary\r
Subscription-State: active\r
Content-Type: application/simple-message-summary\r
Content-Length: {length}\r
\r
{body}"""


@pytest.fixture
def tell(asterisk):
    """`tell(new, old)`: say to Asterisk how many messages there are; returns its status line."""
    host, port = asterisk.udp
    numbers = iter(range(100))

    def notify(new, old):
        answer = "yes" if new else "no"
        body = f"Messages-Waiting: {answer}\r\nVoice-Message: {new}/{old} (0/0)\r\n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.0.1", 0))
            sender.settimeout(20.0)
            text = WAITING.format(
                host=host,
                port=port,
                own=f"127.0.0.1:{sender.getsockname()[1]}",
                number=next(numbers),
                length=len(body),
                body=body,
            )
            sender.sendto(text.encode(), (host, port))
            return sender.recv(4096).split(b"\r\n")[0]

    return notify


@pytest.fixture
def plan(asterisk, authority, tmp_path):
    """Two users over TLS who subscribe to their mailbox."""
    host, port = asterisk.tls
    users = []
    for name in ("vera", "walt"):
        secret = tmp_path / f"{name}.secret"
        secret.touch(mode=0o600)
        secret.write_text(f"{name}pw\n")
        users.append(
            UserSpec(f"sip:{name}@{host}", password_file=str(secret), algorithms="SHA-256;MD5")
        )
    return LoadPlan(
        "subscriptions",
        f"sips:{host}:{port}",
        BaseSpec(server=f"sips:{host}:{port}", ca=(str(authority.certificate),)),
        tuple(users),
        calls=2,
        rate=20.0,
        duration=60.0,
        tolerate_late=50.0,
        workload=WorkloadSpec("subscriptions", kept=True),
    )


async def test_each_change_of_a_mailbox_is_counted_for_every_user(plan, tell):
    """The first NOTIFY is of the subscription; the others come because messages do."""
    seen = []
    control = RunControl(plan)
    running = asyncio.ensure_future(
        run_plan(plan, watcher=RunObserver(seen.append), control=control)
    )

    def counted(name):
        return sum(second.tally.signaling[name] for second in seen)

    for number, (new, old) in enumerate(((3, 1), (0, 4)), 1):
        await until(lambda most=2 * number: counted("NOTIFYs") >= most, within=60.0)
        assert await asyncio.to_thread(tell, new, old) == b"SIP/2.0 200 OK"
        await until(lambda most=2 * number: counted("message waiting changes") >= most, within=60.0)
    control.stop()
    result = await running
    assert [verdict for verdict in judge_result(result, EXPECTED) if not verdict.met] == []
    operations = result.total.operations
    assert operations["subscription"].succeeded == 2
    assert operations["notification"].succeeded == 2
    assert result.total.signaling == {"NOTIFYs": 6, "message waiting changes": 4}
    assert result.summary()["signaling"] == {"NOTIFYs": 6, "message waiting changes": 4}

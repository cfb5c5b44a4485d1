"""Transactions outlive their answers by 32 s over UDP: what they keep is bounded in octets, too."""

from __future__ import annotations

from softphone.sip import EndpointConfig
from tests.support.lone import Lone

LIMIT = 1_000_000
BODY = "x" * 50_000


def flooded(count):
    lone = Lone(config=EndpointConfig(max_transaction_bytes=LIMIT))
    statuses = []
    for number in range(count):
        text = lone.request(
            "MESSAGE", call_id=f"c{number}", body=BODY, headers=("Content-Type: image/x",)
        )
        lone.say(text)
        statuses += lone.heard()
    return lone, statuses


def test_beyond_the_limit_new_requests_get_503_with_retry_after():
    lone, statuses = flooded(100)
    assert statuses == [415] * 20 + [503] * 80
    lone.say(lone.request("OPTIONS"))
    assert lone.last().headers.get("Retry-After") == "5"


def test_room_is_made_when_the_transactions_have_ended():
    lone, _ = flooded(100)
    lone.wait(33)
    lone.say(lone.request("OPTIONS"))
    assert lone.heard() == [200]


def test_copies_of_one_request_are_counted_once():
    lone = Lone(config=EndpointConfig(max_transaction_bytes=LIMIT))
    text = lone.request("MESSAGE", body=BODY, headers=("Content-Type: image/x",))
    for _ in range(100):
        lone.say(text)
    assert lone.heard() == [415] * 100

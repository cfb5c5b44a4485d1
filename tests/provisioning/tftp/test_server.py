"""Serving by TFTP: what is agreed, what is refused, and the two machines over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from softphone.net import Driver
from softphone.provisioning.tftp import TftpDownload, TftpTimes
from softphone.provisioning.tftp.client import TftpReceived
from softphone.provisioning.tftp.packet import (
    AckPacket,
    DataPacket,
    ErrorPacket,
    OackPacket,
    RequestPacket,
    TftpErrorCode,
)
from softphone.provisioning.tftp.server import TftpServed, TftpServer
from softphone.sans_io import Flow, Target, Transport
from tests.support.tftp import CLIENT, packets_of
from tests.support.waiting import PATIENCE

CONTENT = bytes(range(256)) * 5


def other(number: int) -> Flow:
    return Flow(5000 + number, Transport.UDP, ("192.0.2.1", 69), ("192.0.2.9", 30000 + number))


def serving(**options) -> TftpServer:
    return TftpServer(lambda name: CONTENT if name == "a" else None, **options)


def give(server, packet, flow=CLIENT, now=0.0):
    server.receive(packet.encode(), flow=flow, now=now)
    return [each for each, _ in packets_of(server)]


def test_a_plain_request_gets_blocks_of_512():
    server = serving()
    assert give(server, RequestPacket("a")) == [DataPacket(1, CONTENT[:512])]
    assert give(server, AckPacket(1)) == [DataPacket(2, CONTENT[512:1024])]
    assert give(server, AckPacket(2)) == [DataPacket(3, CONTENT[1024:])]
    assert give(server, AckPacket(3)) == []
    assert server.next_event() == TftpServed("a", CLIENT)
    assert server.next_timer() is None


def test_options_are_agreed_before_the_first_block():
    server = serving()
    asked = {"blksize": "65464", "tsize": "0", "timeout": "7", "windowsize": "16"}
    agreed = {"blksize": "1428", "tsize": "1280", "timeout": "7"}
    assert give(server, RequestPacket("a", "octet", asked)) == [OackPacket(agreed)]
    assert server.next_timer() == 7.0
    assert give(server, AckPacket(0)) == [DataPacket(1, CONTENT)]


@pytest.mark.parametrize("options", [{"blksize": "7"}, {"blksize": "x"}, {"timeout": "0"}])
def test_an_option_that_makes_no_sense_is_left_out(options):
    assert give(serving(), RequestPacket("a", "octet", options)) == [DataPacket(1, CONTENT[:512])]


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (RequestPacket("b"), TftpErrorCode.FILE_NOT_FOUND),
        (RequestPacket("a", write=True), TftpErrorCode.ACCESS_VIOLATION),
        (RequestPacket("a", "netascii"), TftpErrorCode.ILLEGAL_OPERATION),
        (DataPacket(1, b"x"), TftpErrorCode.ILLEGAL_OPERATION),
    ],
)
def test_the_rest_is_refused_by_name(packet, code):
    (answer,) = give(serving(), packet)
    assert isinstance(answer, ErrorPacket)
    assert answer.code == code


def test_old_acknowledgments_are_never_answered_with_data():
    server = serving()
    give(server, RequestPacket("a"))
    give(server, AckPacket(1))
    assert give(server, AckPacket(1)) == []
    assert give(server, AckPacket(0)) == []
    assert give(server, AckPacket(7)) == []


def test_a_request_that_comes_again_begins_nothing_twice():
    server = serving()
    give(server, RequestPacket("a"))
    assert give(server, RequestPacket("a")) == []
    assert len(server) == 1


def test_another_request_from_the_same_port_takes_the_place_of_the_first():
    server = TftpServer(lambda name: name.encode())
    give(server, RequestPacket("a"))
    assert give(server, RequestPacket("b")) == [DataPacket(1, b"b")]
    assert server.next_event() == TftpServed("a", CLIENT, "another file was asked for")


def test_silence_is_met_with_patience_and_an_end():
    server = serving(times=TftpTimes(first=1.0, longest=2.0, attempts=3))
    give(server, RequestPacket("a"))
    sent = []
    while (due := server.next_timer()) is not None:
        server.handle_timer(now=due)
        sent += [(due, packet) for packet, _ in packets_of(server)]
    assert sent == [(1.0, DataPacket(1, CONTENT[:512])), (3.0, DataPacket(1, CONTENT[:512]))]
    assert server.next_event() == TftpServed("a", CLIENT, "the far end went silent")
    assert len(server) == 0


def test_a_clients_error_ends_its_transfer_alone():
    server = serving()
    give(server, RequestPacket("a"))
    give(server, RequestPacket("a"), other(1))
    assert give(server, ErrorPacket(3, "full")) == []
    assert server.next_event() == TftpServed("a", CLIENT, "disk full (3): full")
    assert give(server, AckPacket(1), other(1)) == [DataPacket(2, CONTENT[512:1024])]


def test_a_crowd_is_bounded():
    server = serving(transfers=3)
    answers = [give(server, RequestPacket("a"), other(number))[0] for number in range(5)]
    assert [isinstance(each, DataPacket) for each in answers] == [True, True, True, False, False]
    assert len(server) == 3


def test_a_flow_that_is_forgotten_leaves_nothing():
    server = serving()
    give(server, RequestPacket("a"))
    server.disconnected(flow=CLIENT, reason=None, now=1.0)
    assert (len(server), server.next_timer()) == (0, None)


async def test_both_machines_under_the_driver():
    content = CONTENT * 40
    served: list = []
    server = TftpServer(lambda name: content if name == "big" else None)
    async with Driver(server, on_event=served.append) as serving_driver:
        host, port = await serving_driver.listen(Transport.UDP)
        got = asyncio.get_running_loop().create_future()
        download = TftpDownload("big", Target(Transport.UDP, host, port))
        async with Driver(download, on_event=got.set_result) as driver:
            with driver.change() as now:
                download.start(now=now)
            assert await asyncio.wait_for(got, PATIENCE) == TftpReceived(content)
        while not served:  # noqa: ASYNC110 - the last acknowledgment is on its way
            await asyncio.sleep(0.01)
    assert [(each.name, each.why) for each in served] == [("big", "")]

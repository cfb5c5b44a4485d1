"""Reading by TFTP: blocks, options, losses, strangers, sizes, and how it ends."""

from __future__ import annotations

import pytest

from softphone.errors import TransportTimeout
from softphone.provisioning.fetch_error import DownloadRefused, FileMissing, FileTooLarge
from softphone.provisioning.tftp import TftpDownload, TftpFailed, TftpTimes
from softphone.provisioning.tftp.client import DownloadState, TftpReceived
from softphone.provisioning.tftp.packet import (
    AckPacket,
    DataPacket,
    ErrorPacket,
    OackPacket,
    RequestPacket,
    TftpErrorCode,
)
from softphone.provisioning.tftp.server import TftpServer
from tests.support.link import LinkQuality
from tests.support.tftp import (
    PEER,
    STRANGER,
    TARGET,
    WELL_KNOWN,
    World,
    outcome_of,
    packets_of,
    started,
)

NAME = "CSFALICE.cnf.xml"


def give(machine, packet, flow=PEER, now=1.0):
    machine.receive(packet.encode(), flow=flow, now=now)
    return packets_of(machine)


def text_of(size: int) -> bytes:
    return bytes(index * 7 % 251 for index in range(size))


def failure_of(machine) -> Exception:
    event = outcome_of(machine)
    assert isinstance(event, TftpFailed)
    assert machine.state is DownloadState.FAILED
    assert machine.next_timer() is None
    return event.error


def test_it_asks_with_three_options():
    machine = TftpDownload(NAME, TARGET)
    machine.start(now=0.0)
    options = {"blksize": "1428", "tsize": "0", "timeout": "1"}
    assert packets_of(machine) == [(RequestPacket(NAME, "octet", options), TARGET)]


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1428, 2856, 100_000])
@pytest.mark.parametrize("block_size", [512, 1428])
def test_a_file_of_any_length_comes_whole(size, block_size):
    content = text_of(size)
    world = World(
        TftpDownload(NAME, TARGET, block_size=block_size),
        TftpServer(lambda name: content if name == NAME else None),
    )
    assert world.run() == TftpReceived(content)
    assert len(world.sent) == 1 + size // block_size + 1


@pytest.mark.parametrize("seed", range(8))
def test_a_bad_link_costs_time_and_nothing_else(seed):
    content = text_of(20_000)
    quality = LinkQuality(delay=0.02, jitter=0.05, loss=0.15, duplicate=0.2)
    times = TftpTimes(attempts=12)
    world = World(
        TftpDownload(NAME, TARGET, block_size=512, times=times),
        TftpServer(lambda name: content, times=times),
        quality,
        seed=seed,
    )
    assert world.run() == TftpReceived(content)


def test_duplicates_do_not_double_a_transfer():
    """The sorcerer's apprentice: each duplicated acknowledgment would double the data."""
    content = text_of(512 * 100)
    world = World(
        TftpDownload(NAME, TARGET, block_size=512),
        TftpServer(lambda name: content),
        LinkQuality(duplicate=1.0),
    )
    assert world.run() == TftpReceived(content)
    assert len(world.sent) == 1 + 101


def test_block_numbers_roll_over():
    content = text_of(8 * 65_540 + 3)
    world = World(TftpDownload(NAME, TARGET, block_size=8), TftpServer(lambda name: content))
    assert world.run(until=5000.0) == TftpReceived(content)


def test_a_server_without_options_begins_with_data():
    machine = started()
    assert give(machine, DataPacket(1, b"x" * 512), WELL_KNOWN) == [(AckPacket(1), WELL_KNOWN)]
    assert give(machine, DataPacket(2, b"end"), WELL_KNOWN) == [(AckPacket(2), WELL_KNOWN)]
    assert outcome_of(machine) == TftpReceived(b"x" * 512 + b"end")


def test_the_last_acknowledgment_is_given_again_when_it_was_lost():
    machine = started()
    give(machine, DataPacket(1, b"all"))
    assert outcome_of(machine) == TftpReceived(b"all")
    assert give(machine, DataPacket(1, b"all")) == [(AckPacket(1), PEER)]
    assert outcome_of(machine) is None


def test_a_server_that_refuses_options_is_asked_without():
    machine = started()
    refusal = ErrorPacket(TftpErrorCode.OPTION_REFUSED)
    assert give(machine, refusal) == [(RequestPacket(NAME, "octet", {}), TARGET)]
    assert give(machine, DataPacket(1, b"")) == [(AckPacket(1), PEER)]
    assert outcome_of(machine) == TftpReceived(b"")


@pytest.mark.parametrize(
    "options",
    [
        {"blksize": "1429"},
        {"blksize": "7"},
        {"blksize": "x"},
        {"blksize": "-8"},
        {"timeout": "9"},
        {"windowsize": "4"},
    ],
)
def test_options_that_were_not_asked_for_end_it(options):
    machine = started()
    ((packet, to),) = give(machine, OackPacket(options))
    assert (packet.code, to) == (TftpErrorCode.OPTION_REFUSED, PEER)
    assert isinstance(failure_of(machine), DownloadRefused)


def test_a_size_that_is_told_is_judged_before_anything_comes():
    machine = started(limit=1000)
    ((packet, _),) = give(machine, OackPacket({"tsize": "1001"}))
    assert packet.code == TftpErrorCode.DISK_FULL
    assert isinstance(failure_of(machine), FileTooLarge)


def test_a_file_that_grows_too_large_is_dropped_while_it_comes():
    content = text_of(100_000)
    world = World(TftpDownload(NAME, TARGET, limit=50_000), TftpServer(lambda name: content))
    assert isinstance(world.run().error, FileTooLarge)
    machine = started(limit=600)  # a server that does not tell the size
    give(machine, DataPacket(1, b"x" * 512))
    ((packet, _),) = give(machine, DataPacket(2, b"x" * 89))
    assert packet.code == TftpErrorCode.DISK_FULL
    assert isinstance(failure_of(machine), FileTooLarge)


def test_a_block_larger_than_agreed_ends_it():
    machine = started()
    give(machine, OackPacket({"blksize": "1024"}))
    ((packet, _),) = give(machine, DataPacket(1, b"x" * 1025))
    assert packet.code == TftpErrorCode.ILLEGAL_OPERATION
    assert isinstance(failure_of(machine), DownloadRefused)


def test_a_file_that_is_not_there_is_an_answer():
    machine = started()
    assert give(machine, ErrorPacket(1, "File not found")) == []
    error = failure_of(machine)
    assert isinstance(error, FileMissing)
    assert str(error).endswith("file not found (1): File not found")


def test_another_error_is_named():
    machine = started()
    give(machine, ErrorPacket(2, "no"))
    assert "access violation (2): no" in str(failure_of(machine))


@pytest.mark.parametrize(
    "packet",
    [
        DataPacket(1, b"forged"),
        OackPacket({"blksize": "8"}),
        AckPacket(0),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_a_strangers_packet_is_turned_away_and_changes_nothing(packet, begun):
    machine = started()
    if begun:
        give(machine, OackPacket({"blksize": "1428"}))
    state, timer = machine.state, machine.next_timer()
    ((answer, to),) = give(machine, packet, STRANGER)
    assert (answer.code, to) == (TftpErrorCode.UNKNOWN_TRANSFER_ID, STRANGER)
    assert (machine.state, machine.next_timer()) == (state, timer)
    give(machine, DataPacket(1, b"true"))
    assert outcome_of(machine) == TftpReceived(b"true")


def test_a_strangers_error_is_neither_believed_nor_answered():
    machine = started()
    assert give(machine, ErrorPacket(1), STRANGER) == []
    assert outcome_of(machine) is None


def test_another_port_of_the_server_is_a_stranger_once_one_has_answered():
    machine = started()
    give(machine, OackPacket({"tsize": "9"}))
    ((answer, to),) = give(machine, DataPacket(1, b"late"), WELL_KNOWN)
    assert (answer.code, to) == (TftpErrorCode.UNKNOWN_TRANSFER_ID, WELL_KNOWN)


@pytest.mark.parametrize("block", [0, 2, 3, 65535])
def test_blocks_out_of_order_are_dropped(block):
    machine = started()
    give(machine, OackPacket({"tsize": "9"}))
    assert give(machine, DataPacket(block, b"?")) == []
    assert give(machine, DataPacket(1, b"!")) == [(AckPacket(1), PEER)]


def test_an_option_acknowledgment_that_comes_again_is_answered_again():
    machine = started()
    agreed = OackPacket({"blksize": "600"})
    assert give(machine, agreed) == [(AckPacket(0), PEER)]
    assert give(machine, agreed) == [(AckPacket(0), PEER)]
    give(machine, DataPacket(1, b"x" * 600))
    assert give(machine, agreed) == []


def test_silence_is_met_with_patience_and_an_end():
    machine = started(times=TftpTimes(first=1.0, longest=3.0, attempts=4))
    times = []
    while (due := machine.next_timer()) is not None:
        machine.handle_timer(now=due)
        times += [due] * len(packets_of(machine))
    assert times == [1.0, 3.0, 6.0]
    assert isinstance(failure_of(machine), TransportTimeout)


def test_malformed_bytes_are_dropped():
    machine = started()
    machine.receive(b"\0\x63junk", flow=PEER, now=1.0)
    assert packets_of(machine) == []
    assert machine.state is DownloadState.REQUESTED


def test_a_place_that_cannot_be_reached_ends_it():
    machine = started()
    machine.disconnected(flow=TARGET, reason="the name has no address", now=0.0)
    assert "the name has no address" in str(failure_of(machine))
    machine.receive(DataPacket(1, b"late").encode(), flow=PEER, now=1.0)
    assert packets_of(machine) == []

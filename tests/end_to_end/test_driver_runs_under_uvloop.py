"""The scenarios of tests/net/driver/test_driver.py once more, on the other event loop."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from softphone.sans_io import Transport
from tests.net.driver import test_driver

uvloop = pytest.importorskip("uvloop")

SCENARIOS = [
    test_driver.test_after_exit_no_task_is_left,
    test_driver.test_what_was_written_is_flushed_by_closing,
    test_driver.test_a_transmit_that_closes_ends_the_flow_after_its_bytes,
    test_driver.test_data_for_a_target_waits_for_its_flow_and_keeps_its_order,
    test_driver.test_a_target_is_opened_once_and_found_again_by_all_five_fields,
    test_driver.test_the_timer_rings_at_its_deadline_and_not_before,
]


def run(scenario, *arguments):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario(*arguments))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_scenario_of_the_driver_holds_under_uvloop(scenario, tmp_path):
    run(scenario, *([tmp_path] if inspect.signature(scenario).parameters else []))


@pytest.mark.parametrize("transport", list(Transport))
def test_bytes_go_both_ways_under_uvloop(transport, tmp_path):
    run(test_driver.test_bytes_go_both_ways_over_every_transport, transport, tmp_path)

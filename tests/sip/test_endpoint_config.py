"""The configuration's defaults agree with the RFCs."""

from __future__ import annotations

from softphone.sip import EndpointConfig, Timing


def test_the_base_timers_are_those_of_rfc_3261_table_4():
    timing = Timing()
    assert (timing.t1, timing.t2, timing.t4, timing.timeout) == (0.5, 4.0, 5.0, 32.0)


def test_the_least_session_interval_is_that_of_rfc_4028_section_5():
    assert EndpointConfig().min_se == 90


def test_what_is_supported_is_also_allowed():
    config = EndpointConfig()
    assert "PRACK" in config.allow
    assert "UPDATE" in config.allow
    assert {"100rel", "timer", "replaces"} <= set(config.supported)

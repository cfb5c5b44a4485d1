"""The least limit rules, and losses slow down."""

from __future__ import annotations

from softphone.media.video.bitrate import LEAST, BitrateControl
from softphone.rtp import BitrateLimit


def test_the_least_limit_rules() -> None:
    control = BitrateControl(1_000_000)
    assert control.bitrate == control.limit == 1_000_000
    control.set_limits(session=520_000)
    assert control.bitrate == 500_000
    assert control.apply_tmmbr(BitrateLimit(7, 208_000, 40)) == BitrateLimit(7, 208_000, 40)
    assert control.bitrate == 200_000
    control.apply_tmmbr(BitrateLimit(7, 2_000_000, 40))
    assert control.bitrate == 500_000
    control.set_limits(wanted=300_000)
    assert control.bitrate == 300_000


def test_a_limit_of_nothing_is_a_pause() -> None:
    control = BitrateControl(1_000_000)
    control.apply_tmmbr(BitrateLimit(7, 0))
    assert control.bitrate == 0


def test_losses_slow_down_and_their_absence_recovers() -> None:
    control = BitrateControl(1_000_000)
    control.apply_loss_report(0.05)
    assert control.bitrate == 1_000_000
    control.apply_loss_report(0.4)
    assert control.bitrate == 800_000
    for _ in range(100):
        control.apply_loss_report(1.0)
    assert LEAST <= control.bitrate <= 100_000
    for _ in range(100):
        control.apply_loss_report(0.0)
    assert control.bitrate == 1_000_000

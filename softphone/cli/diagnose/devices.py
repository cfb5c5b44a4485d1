"""`softphone devices`: the sound cards that `--device` can name."""

from __future__ import annotations

from dataclasses import asdict

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import FAILED
from softphone.cli.diagnose.options import DevicesOptions
from softphone.media.audio.sound_device import SoundDeviceInfo, list_sound_devices


async def show_devices(output: CommandOutput, options: DevicesOptions) -> int:
    """List the sound cards; return 1 without any.  Raises ConfigurationError and MediaError."""
    found = list_sound_devices()
    for each in found:
        output.event("device", **asdict(each))
    if not found:
        return output.failed("this system has no sound card", FAILED, result="failed")
    head = ("number", "name", "microphone", "loudspeaker", "rate Hz", "driver")
    output.table("", head, [_row(each) for each in found])
    usable = sum(bool(each.inputs and each.outputs) for each in found)
    sentence = f"{usable} for calls, with microphone and loudspeaker: --device NAME or NUMBER"
    return output.done(sentence, reason="listed", devices=len(found), usable=usable)


def _row(device: SoundDeviceInfo) -> tuple[str, ...]:
    return (
        str(device.number),
        device.name,
        _channels(device.inputs, default=device.default_input),
        _channels(device.outputs, default=device.default_output),
        str(device.clock_rate_hz),
        device.driver,
    )


def _channels(count: int, *, default: bool) -> str:
    return "-" if count == 0 else f"{count} (default)" if default else str(count)

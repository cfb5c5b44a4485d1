"""Measures the detectors' misses and false alarms, and their cost for each row.

    python bench/media/bench_detect.py [--seconds 120]

Speech is espeak-ng's where that is installed (several voices, one text), else the synthetic voice
of the tests.  False alarms are counted over all speech, in noise of several ratios; misses over
digits, network tones and beginnings of speech.  The cost is that of one row in a batch.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.python_build import measured_on
from softphone.media.audio import WavSource
from softphone.media.audio.tones import power_level
from softphone.media.detection import AnswerClassification, DetectorBank, DetectorKind
from tests.support.sounds import (
    EVERYTHING,
    digits_in,
    found_in,
    keys,
    samples,
    silence,
    speech,
    tone,
    tones_in,
    with_noise,
)

RESULTS = Path(__file__).resolve().parents[1] / "results" / "detect.json"
VOICES = ("en-us", "en-gb+f3", "de", "fr", "es+f2", "it", "ru", "sv+m3")
TEXT = (
    "One two three four five six seven eight nine ten. Where were you when the rain in Spain "
    "stayed mainly in the plain? We owe you a yellow onion; you are in our area all year. "
)
PEOPLE = ("Hello?", "Yes, hello.", "This is Anna.", "Good morning, Miller speaking.")
MACHINES = (
    "Hi, you have reached the voice mail of John Smith. I cannot take your call at the moment. "
    "Please leave your name and number after the tone.",
    "The person you are calling is not available. Please leave a message after the beep, and we "
    "will call you back as soon as we can.",
)
RATIOS = (None, 30, 20, 15, 10, 5)
TONES = {
    "ringback": ((440.0, 480.0), (2.0, 4.0), 9.0),
    "busy": ((480.0, 620.0), (0.5, 0.5), 4.0),
    "congestion": ((480.0, 620.0), (0.25, 0.25), 4.0),
    "cng": ((1100.0,), (0.5, 3.0), 4.5),
    "ced": ((2100.0,), (3.0, 1.0), 4.0),
}


def spoken(text: str, voice: str, seed: int) -> np.ndarray:
    """Return a spoken text at -18 dBm0, float64 at 8,000 Hz."""
    if shutil.which("espeak-ng") is None:
        return speech(max(0.6, len(text) / 15), seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["espeak-ng", "-v", voice, "-s", "160", "-w", str(path), text]
        subprocess.run(command, check=True, capture_output=True)
        source, parts = WavSource(path), []
        while not source.ended:
            parts.append(source.read(1600))
    pcm = np.concatenate(parts)
    return pcm.astype(float) * 10 ** ((-18.0 - power_level(pcm)) / 20)


def noisy(sound: np.ndarray, ratio: int | None, seed: int = 0) -> np.ndarray:
    """Add noise `ratio` dB below -18 dBm0; None adds none."""
    return sound if ratio is None else with_noise(sound, ratio, seed=seed)


def alarms(seconds: float) -> list[dict[str, Any]]:
    """Count the digits and tones detected in speech with noise, which has none."""
    rows = []
    text = TEXT * max(1, round(seconds / 12 / len(VOICES)))
    talk = [spoken(text, voice, seed) for seed, voice in enumerate(VOICES)]
    for ratio in RATIOS:
        found = [each for sound in talk for each in found_in(noisy(sound, ratio))]
        hours = sum(sound.size for sound in talk) / 8000 / 3600
        kinds = [getattr(each, "kind", "") for each in found]
        rows.append(
            {
                "snr_db": ratio,
                "seconds": round(hours * 3600, 1),
                "false_digits": kinds.count("digit"),
                "false_tones": kinds.count("tone"),
            }
        )
    return rows


def misses() -> list[dict[str, Any]]:
    """Count the 50 ms digits, network tones and starts of speech that are not detected."""
    rows, alphabet = [], "1234567890*#ABCD"
    pressed = np.concatenate((silence(0.2), keys(alphabet, level=-21.0), silence(0.2)))
    for ratio in RATIOS:
        digits = [digits_in(noisy(pressed, ratio, seed)) for seed in range(6)]
        lost = sum(sum(digit not in heard for digit in alphabet) for heard in digits)
        tones = 0
        for name, (frequencies, rhythm, length) in TONES.items():
            level = -18.0 if len(frequencies) == 1 else -21.0
            sound = tone(*frequencies, seconds=length, rhythm=rhythm, level=level)
            sound = np.concatenate((silence(0.3), sound, silence(1.2)))
            tones += tones_in(noisy(sound, ratio)) != [name]
        starts = 0
        for seed, voice in enumerate(VOICES):
            sound = np.concatenate((silence(2.0), spoken(PEOPLE[3], voice, seed), silence(1.0)))
            heard = found_in(noisy(sound, ratio, seed), wanted=DetectorKind.VOICE)
            starts += not heard or abs(heard[0].at - 2.0) > 0.35
        imagined = found_in(noisy(silence(30.0), ratio), wanted=DetectorKind.VOICE)
        rows.append(
            {
                "snr_db": ratio,
                "digits": 6 * len(alphabet),
                "digits_missed": lost,
                "tones": len(TONES),
                "tones_missed_or_wrong": tones,
                "starts_of_speech": len(VOICES),
                "starts_missed_or_late": starts,
                "voices_heard_in_30_s_of_noise": len(imagined),
            }
        )
    return rows


def answers() -> list[dict[str, Any]]:
    """Count the correct answer classifications.

    Humans and machines are judged by the first one, machines also by the last, after the beep.
    """
    rows = []
    for ratio in (None, 20, 10):
        right = {"human": 0, "machine_at_once": 0, "machine_in_the_end": 0}
        for seed, voice in enumerate(VOICES):
            for text in PEOPLE:
                sound = np.concatenate((silence(0.5), spoken(text, voice, seed), silence(3.0)))
                right["human"] += kinds_of(noisy(sound, ratio, seed))[:1] == ["human"]
            for text in MACHINES:
                parts = (spoken(text, voice, seed), silence(0.7), tone(1000.0, seconds=0.4))
                sound = np.concatenate((silence(0.5), *parts, silence(2.0)))
                kinds = kinds_of(noisy(sound, ratio, seed))
                right["machine_at_once"] += kinds[:1] == ["machine"]
                right["machine_in_the_end"] += kinds[-1:] == ["machine"]
        people, machines = len(VOICES) * len(PEOPLE), len(VOICES) * len(MACHINES)
        rows.append({"snr_db": ratio, "humans": people, "machines": machines, **right})
    return rows


def kinds_of(sound: np.ndarray) -> list[str]:
    """Return the answer classifications, in order."""
    found = found_in(sound, wanted=DetectorKind.ANSWER)
    return [each.kind for each in found if isinstance(each, AnswerClassification)]


def cost() -> list[dict[str, Any]]:
    """Measure microseconds a row and frame of 20 ms, for batches of 1, 16 and 128 rows."""
    rows, pcm = [], samples(speech(2.0))
    for wanted, name in ((DetectorKind.DIGITS, "digits"), (EVERYTHING, "everything")):
        for count in (1, 16, 128):
            bank = DetectorBank(count)
            handles = [bank.add_row(wanted) for _ in range(count)]
            started, frames = time.process_time(), 0
            for start in range(0, pcm.size - 160, 160):
                for row in handles:
                    bank.feed(row, pcm[start : start + 160], 8000)
                bank.run_detectors()
                frames += 1
            spent = (time.process_time() - started) * 1e6 / (frames * count)
            rows.append({"what": name, "rows": count, "us_a_row_and_frame": round(spent, 1)})
    return rows


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    result = {
        **measured_on(),
        "speech": "espeak-ng" if shutil.which("espeak-ng") else "synthetic",
        "false_alarms": alarms(arguments.seconds),
        "misses": misses(),
        "answering": answers(),
        "cost": cost(),
        "cost_unit": "microseconds of CPU",
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

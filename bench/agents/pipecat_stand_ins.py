"""Runs an example of pipecat's with stand-ins of its speech services, for run_pipecat_examples.

    python bench/agents/pipecat_stand_ins.py EXAMPLE.py ACCOUNT.toml

The names that examples import of Cartesia and Deepgram are given classes of pipecat's own services
of OpenAI's, which take the address of `tests.support.openai_services` from the environment.  What
an example says of voices and models is dropped; its own lines are not changed.
"""

from __future__ import annotations

import runpy
import sys
from dataclasses import fields
from types import ModuleType
from typing import Any

from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService


def known(settings: type, given: dict[str, Any]) -> dict[str, Any]:
    """Return those of an example's settings that the stand-in has, too."""
    names = {each.name for each in fields(settings)}
    return {name: value for name, value in given.items() if name in names}


class StandInTTSService(OpenAITTSService):
    """Text to speech."""

    class Settings(OpenAITTSService.Settings):
        """Takes any settings of a service."""

        def __init__(self, **given: Any) -> None:
            super().__init__(**known(OpenAITTSService.Settings, given))

    def __init__(self, **given: Any) -> None:
        super().__init__()


class StandInSTTService(OpenAISTTService):
    """Speech to text."""

    class Settings(OpenAISTTService.Settings):
        """Takes any settings of a service."""

        def __init__(self, **given: Any) -> None:
            super().__init__(**known(OpenAISTTService.Settings, given))

    def __init__(self, **given: Any) -> None:
        super().__init__()


CLASSES = {
    "cartesia.tts": {"CartesiaTTSService": StandInTTSService},
    "deepgram.tts": {"DeepgramTTSService": StandInTTSService},
    "cartesia.stt": {"CartesiaSTTService": StandInSTTService},
    "deepgram.stt": {"DeepgramSTTService": StandInSTTService},
}


def main() -> None:
    """Put the stand-ins in their places, and run the example as its author does."""
    for name, classes in CLASSES.items():
        module = ModuleType(f"pipecat.services.{name}")
        vars(module).update(classes)
        sys.modules[module.__name__] = module
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()

"""What a valid run needs of the generator itself, so that its figures describe the target."""

from __future__ import annotations

from enum import StrEnum


class GeneratorCheck(StrEnum):
    """A condition of a valid run; its value reads as the name of a test."""

    SPEED = "the generator kept up"
    SENDING = "packets left"
    BUFFERS = "receive buffers held"
    SCENARIO = "the scenario ran"
    RESOURCES = "ports and descriptors sufficed"
    WORKERS = "every worker finished"
    COMPLETE = "the run came to its end"

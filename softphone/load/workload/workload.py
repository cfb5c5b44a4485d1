"""What one arrival of a load without calls does, and what it counts into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import ClassVar

from softphone.load.measure import Operation, OperationTallies, Tally, failure_cause
from softphone.load.plan import LoadPlan, WorkloadSpec


@dataclass(slots=True)
class WorkloadMeter:
    """The tally of the current second, and the clock in monotonic seconds."""

    clock: Callable[[], float]
    tally: Tally = field(default_factory=Tally)

    @property
    def operations(self) -> OperationTallies:
        """The operations of the current second."""
        return self.tally.operations

    def succeed(self, operation: Operation, begun: float) -> None:
        """Count that an operation that began at `begun` succeeded."""
        self.operations.succeed(operation, self.clock() - begun)

    def fail(self, operation: Operation, error: Exception) -> None:
        """Count that an operation failed."""
        self.operations.fail(operation, failure_cause(error))


class Workload(ABC):
    """What a run without calls does; `kept` says that users begin once and stay to its end.

    `operations` are what it measures, `registers` whether users register, `options` the options of
    the command that are for it.
    """

    kept: ClassVar[bool] = False
    registers: ClassVar[bool] = False
    operations: ClassVar[tuple[Operation, ...]] = ()
    options: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, plan: LoadPlan, meter: WorkloadMeter) -> None:
        self.plan = plan
        self.meter = meter

    @classmethod
    def figures(cls) -> tuple[str, ...]:
        """The names of the figures that can be expected, without a quantile's rank."""
        first = ("registered", "registration") if cls.registers else ()
        return (
            *first,
            *(name for each in cls.operations for name in (each.share, each.name, each.rate)),
        )

    @property
    def _spec(self) -> WorkloadSpec:
        spec = self.plan.workload
        assert spec is not None  # the runner has checked it
        return spec

    @abstractmethod
    async def open(self, stack: AsyncExitStack, progress: Callable[[int, int], None]) -> None:
        """Check everything, reach the server, and sign users in as far as the run needs them.

        What is opened goes onto the stack.  Raises SoftphoneError when nothing can be measured.
        """

    @abstractmethod
    def begin(self, number: int, done: Callable[[], None]) -> None:
        """Begin what arrival `number` of this worker does; `done` is called at its end.

        `done` is never called for kept users.
        """

    @property
    @abstractmethod
    def up(self) -> int:
        """The users who are registered or signed in, or what is under way now."""

    @property
    def most(self) -> int | None:
        """The most arrivals; None for no limit."""
        return len(self.plan.users) if self.kept else None

    def cut_connections(self, *, every: bool) -> int:
        """Close all connections, or the next one; return how many were closed."""
        return 0

    @abstractmethod
    async def finish(self) -> None:
        """End what is under way, and count what did not succeed until now."""

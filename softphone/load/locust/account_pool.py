"""Which Locust user has which account of a users file: one each, over all workers."""

from __future__ import annotations

from collections.abc import Collection


class AccountPool:
    """The accounts of one users file, by their numbers from 0 to `count` - 1.

    An owner is a worker's ID, "" without workers.
    """

    def __init__(self, count: int) -> None:
        self._owners: dict[int, str] = {}
        self._free = list(range(count - 1, -1, -1))

    def take(self, owner: str) -> int | None:
        """Return the number of an account that is not in use; None when there is none left."""
        if not self._free:
            return None
        number = self._free.pop()
        self._owners[number] = owner
        return number

    def give_back(self, number: int, owner: str) -> None:
        """Return an account to the pool; ignored where `owner` does not have it any more."""
        if self._owners.get(number) == owner:
            del self._owners[number]
            self._free.append(number)

    def forget_others(self, owners: Collection[str]) -> None:
        """Take back the accounts of owners that are gone: workers that have ended."""
        for number, owner in tuple(self._owners.items()):
            if owner not in owners:
                self.give_back(number, owner)

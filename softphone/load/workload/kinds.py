"""The loads without calls, by the name that `--scenario` has for them."""

from __future__ import annotations

from collections.abc import Mapping

from softphone.errors import ConfigurationError
from softphone.load.workload.handshakes import Handshakes
from softphone.load.workload.messages import Messages
from softphone.load.workload.registered_users import RegisteredUsers
from softphone.load.workload.subscriptions import Subscriptions
from softphone.load.workload.workload import Workload

WORKLOADS: Mapping[str, type[Workload]] = {
    "registered-users": RegisteredUsers,
    "subscriptions": Subscriptions,
    "messages": Messages,
    "handshakes": Handshakes,
}


def workload_class(kind: str) -> type[Workload]:
    """Return the class of a load without calls.  Raises ConfigurationError."""
    found = WORKLOADS.get(kind)
    if found is None:
        raise ConfigurationError(f"{kind}: known without calls are {', '.join(WORKLOADS)}")
    return found

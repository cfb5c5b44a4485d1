"""Calls of Locust users: `SoftphoneUser`, whose steps Locust counts as requests.

    from locust import task
    from softphone.load.locust import SoftphoneUser

    class Caller(SoftphoneUser):
        host = "alice.toml"

        @task
        def talk(self):
            self.client.call("600", seconds=5)

Locust runs on gevent, which replaces sockets, selectors and threads of its process.  So the calls
of a Locust process are in a process of their own (`call_process`), which keeps RTP punctual while
Locust is busy; the two exchange JSON objects, one a line (`process_client`).  Accounts, calls and
their judgement are those of `softphone.load.run`.  It is the extra `softphone[locust]`.

Nothing else imports this package; importing Locust patches the process.  Without Locust, importing
a name raises ModuleNotFoundError, which says what to install.  No standard: the protocols are in
the packages that make the calls.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softphone.extras import has_module, install_command

if TYPE_CHECKING:
    from softphone.load.locust.softphone_user import SoftphoneUser
    from softphone.load.locust.steps import CallResult, StepFailed

__all__ = ["CallResult", "SoftphoneUser", "StepFailed"]


def __getattr__(name: str) -> Any:
    """Import what needs Locust on its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "SoftphoneUser":
        return getattr(import_module("softphone.load.locust.steps"), name)
    if not has_module("locust"):
        sentence = f"a user of Locust needs that: {install_command('locust')}"
        raise ModuleNotFoundError(sentence, name="locust")
    return import_module("softphone.load.locust.softphone_user").SoftphoneUser

"""Users of Locust who call an echo, and a line that they put on hold.

    locust -f locustfile.py -H lab/alice.toml

Then http://localhost:8089 has Locust's page; `--headless -u 10 -r 2 -t 1m` needs none.
"""

from __future__ import annotations

from locust import between, task

from softphone.load.locust import SoftphoneUser


class Caller(SoftphoneUser):
    """One who calls, waits a little, and calls again."""

    wait_time = between(1, 3)
    least_mos = 3.5

    @task(3)
    def echo(self) -> None:
        """Call, send digits, and talk."""
        self.client.call("600", seconds=2, digits="12#")

    @task
    def hold(self) -> None:
        """Take each step by itself; one that fails is counted, and ends the task."""
        with self.client.dial("601", name="on hold") as call:
            call.talk(1)
            call.hold()
            call.resume()
            call.talk(1)

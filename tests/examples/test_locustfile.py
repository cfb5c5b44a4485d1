"""The locustfile, as Locust runs it against a lab."""

from __future__ import annotations

from tests.examples.conftest import EXAMPLES
from tests.support.extra_site import LOCUST
from tests.support.lab_process import lab_process
from tests.support.locust_run import locust_ports, run_locust

LOCUST.need()

AT_LEAST_ONE_CALL = """
stop_at(lambda environment: environment.runner.quit(), BYE=1)
"""


def test_its_users_call_and_leave(tmp_path, worker_id):
    (tmp_path / "example.py").write_bytes((EXAMPLES / "locustfile.py").read_bytes())
    with lab_process(tmp_path / "lab"):
        ended, counted = run_locust(
            *(tmp_path, locust_ports(worker_id), AT_LEAST_ONE_CALL),
            *("-f", "example.py,locustfile.py", "-H", "lab/alice.toml", "-u", "2", "-r", "2"),
        )
    # A voice quality below `least_mos` is the busy machine's.
    assert {name for name, (_, failed) in counted.items() if failed} <= {("RTP", "MOS x100")}
    assert counted["SIP", "REGISTER"] == (1, 0), ended.stdout + ended.stderr
    calls = [name for kind, name in counted if name in ("INVITE", "INVITE on hold")]
    assert calls
    for each in calls:
        assert counted["SIP", each][0] == counted["SIP", each.replace("INVITE", "BYE")][0]
    assert "Traceback" not in ended.stderr

"""Each dashboard is whole, and names no metric or label that is not served."""

from __future__ import annotations

import itertools

import pytest

from softphone.config import LimitsConfig
from softphone.errors import CallError
from softphone.lab import LabServer
from softphone.monitoring import phone_exposition
from softphone.phone import Phone
from tests.dashboards.dashboard import DASHBOARDS, OF_SCRAPE, Expression, expressions, read, samples
from tests.dashboards.pages import append_bots_and_campaign, load_page
from tests.support.calling import account_of, connect
from tests.support.direct import address_of, clear
from tests.support.waiting import PATIENCE, patiently

LOAD, PHONE = DASHBOARDS


async def phone_page(folder):
    """The page of a phone that has had calls of every kind, a bot and a campaign."""
    async with LabServer(folder) as lab, Phone() as phone:
        await account_of(lab, phone, "alice")
        caller = await phone.register(clear("caller"))
        bob = await phone.register(clear("bob", limits=LimitsConfig(calls=1)))
        call, other = await connect(caller, bob, address_of(bob))
        with pytest.raises(CallError):
            await caller.dial(address_of(bob)).answered(timeout=PATIENCE)
        call.hangup()
        await patiently(other.ended())
        lines = [phone_exposition(phone)]
        append_bots_and_campaign(lines)
        return "\n".join(lines)


def unserved(found, served):
    """Names of metrics that are not served, and labels that no metric beside them has."""
    for each in found:
        yield from sorted(each.metrics - set(served))
        known = set().union(*(served.get(name, set()) for name in each.metrics))
        yield from sorted(each.labels - known - OF_SCRAPE)


async def test_each_panel_names_what_is_served_and_each_metric_is_on_a_panel(tmp_path):
    pages = {LOAD: load_page(), PHONE: await phone_page(tmp_path / "lab")}
    for path, page in pages.items():
        found, served = expressions(read(path)), samples(page)
        assert all(each.metrics for each in found)
        assert list(unserved(found, served)) == []
        # Quantiles need the buckets of a histogram only.
        drawn = set().union(*(each.metrics for each in found))
        histograms = {name.removesuffix("_bucket") for name in drawn if name.endswith("_bucket")}
        parts = {f"{name}_{part}" for name in histograms for part in ("sum", "count")}
        assert set(served) - drawn - parts == set()


def test_a_name_or_label_that_is_not_served_is_found():
    served = samples('softphone_a{x="1",le="2"} 1\nsoftphone_b 2\n')
    text = 'sum by (z, le) (rate(softphone_a{y=~".*",instance=~"."}[1m])) / softphone_c'
    assert list(unserved([Expression("p", text)], served)) == ["softphone_c", "y", "z"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_an_id_each_and_do_not_overlap(path):
    dashboard = read(path)
    assert dashboard["uid"] == path.stem
    assert dashboard["schemaVersion"] == 39
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names)
    for one, other in itertools.combinations((panel["gridPos"] for panel in panels), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above

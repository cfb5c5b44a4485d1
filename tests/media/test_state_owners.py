"""Each group of state arrays has one owner, which alone writes it, and one layout."""

from __future__ import annotations

import ast
import inspect
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import softphone
from softphone.events import Direction
from softphone.media import StreamSpec
from softphone.media.arrays import ArrayGroup, column
from softphone.media.bank import StreamBank
from softphone.media.playout.loss_bursts import LossBurstBank
from softphone.media.tick.stream_commands import RemoteAddresses, open_stream, send_digits
from tests.support.wire import Wire, raw_address

FOLDER = Path(softphone.__file__).parent
READERS = {"flagged_rows"}
"""Functions that are given a whole array, and only read it."""
CHANGING = {"fill", "itemset", "partition", "put", "resize", "setfield", "sort"}


def bank() -> StreamBank:
    return StreamBank(4, entropy=random.Random(1).randbytes)


def groups_of(holder: object) -> dict[str, ArrayGroup]:
    """The groups that an object holds, and that they hold, by attribute."""
    found: dict[str, ArrayGroup] = {}
    for name, value in vars(holder).items():
        if isinstance(value, ArrayGroup):
            found |= {name: value} | groups_of(value)
    return found


OWNERS = {name: type(group) for name, group in groups_of(bank()).items()} | {
    "bursts": LossBurstBank
}


class Writes(ast.NodeVisitor):
    """The writes of a module to columns of groups that it does not own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[str] = []
        self.groups = dict(OWNERS)
        self.arrays: dict[str, str] = {}

    def foreign_column(self, node: ast.AST) -> str | None:
        """The column that an expression is, where another module's class owns it."""
        if isinstance(node, ast.Name):
            return self.arrays.get(node.id)
        if not isinstance(node, ast.Attribute):
            return None
        holder = node.value
        name = getattr(holder, "attr", getattr(holder, "id", ""))
        owner = self.groups.get(name)
        if owner is None or node.attr not in owner.columns:
            return None
        return None if self.path == Path(inspect.getfile(owner)) else f"{name}.{node.attr}"

    def note(self, node: ast.AST, target: ast.AST) -> None:
        column = self.foreign_column(target)
        if column is not None:
            self.found.append(f"{self.path.name}:{node.lineno} writes {column}")

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for name, value in pairs:
                if not isinstance(name, ast.Name):
                    continue
                attr = getattr(value, "attr", None)
                self.arrays.pop(name.id, None)
                if attr in OWNERS:
                    self.groups[name.id] = OWNERS[attr]
                elif (column := self.foreign_column(value)) is not None:
                    self.arrays[name.id] = column
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            target: ast.AST = node.value
            while isinstance(target, ast.Subscript):
                target = target.value
            self.note(node, target)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.note(node, node)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.note(node, node.target)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        called = getattr(function, "attr", getattr(function, "id", ""))
        of_numpy = isinstance(function, ast.Attribute) and "np." in ast.unparse(function) + "."
        if called in CHANGING and isinstance(function, ast.Attribute):
            self.note(node, function.value)
        if called == "at" or (called not in READERS and not of_numpy):
            for argument in node.args:
                self.note(node, argument)
        for keyword in node.keywords:
            if keyword.arg == "out" or (called not in READERS and not of_numpy):
                self.note(node, keyword.value)
        self.generic_visit(node)


def writes(path: Path, source: str) -> list[str]:
    finder = Writes(path)
    finder.visit(ast.parse(source))
    return finder.found


def test_only_its_owner_writes_a_group():
    found = [line for path in FOLDER.rglob("*.py") for line in writes(path, path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "bank.sender.sequence[rows] += 1",
        "bank.receiver.heard[row] = True",
        "row, receiver = 1, bank.receiver\nreceiver.heard[row] = True",
        "muted = bank.sender.muted\nmuted[3] = True",
        "sender.lateness[:, 3][rows] += 1",
        "np.add.at(bank.receiver.malformed, rows, 1)",
        "np.minimum(x, 3, out=bank.delivery.opened_frame)",
        "bank.addresses.remote.fill(0)",
        "bank.addresses.remote = other",
        "count(bank.receiver.malformed, rows)",
        "self.playout._delay.target[rows] = 0.0",
        "bank.playout.bursts.speech[row] = 1.0",
    ],
)
def test_a_write_of_another_module_is_found(line):
    assert len(writes(FOLDER / "media" / "tick" / "send.py", line)) == 1


def test_the_owner_may_write_and_others_may_read():
    own = Path(inspect.getfile(OWNERS["sender"]))
    assert writes(own, "self.sender.sequence[rows] += 1") == []
    reading = "x = bank.sender.sequence[rows] + np.where(bank.receiver.heard, 1, 0)\nx[0] = 1"
    assert writes(FOLDER / "media" / "tick" / "send.py", reading) == []


def rows_of(group: ArrayGroup, row: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The columns of a group: name, what a row holds, and the default of that."""
    for name, declared in group.columns.items():
        held = getattr(group, name)[row]
        yield name, held, np.full(np.shape(held), declared.default, declared.dtype)


DRAWN = {"sequence", "timestamp_base", "ssrc"}
"""What is drawn at random when a row is given out."""


def test_a_row_given_back_and_taken_anew_has_the_defaults_of_its_layout():
    wire = Wire()
    station, row = wire.b, wire.b.row
    spec = StreamSpec(
        ("10.0.0.1", 5000),
        telephone_event=101,
        comfort_noise=13,
        rtcp_mux=True,
        direction=Direction.SENDRECV,
        security_generation=3,
    )
    station.open(spec)
    send_digits(station.bank, station.handle, "1", duration_ms=100)
    wire.run(30)
    groups = [getattr(station.bank, name) for name in ("sender", "receiver", "addresses")]
    groups.append(station.bank.delivery)
    changed = {
        name
        for group in groups
        for name, held, default in rows_of(group, row)
        if not np.array_equal(held, default)
    }
    assert changed > {"packets_sent", "payload_type", "remote", "heard", "playing_type", "mux"}
    station.bank.release_row(station.handle)
    assert station.bank.reserve_row().handle.row == row
    for group in groups:
        for name, held, default in rows_of(group, row):
            if type(group) is not OWNERS["sender"] or name not in DRAWN:
                assert np.array_equal(held, default), name


def test_counters_of_a_row_that_is_opened_anew_begin_at_their_defaults():
    wire = Wire()
    station, row = wire.b, wire.b.row
    wire.run(30)
    playout = station.bank.playout
    assert playout.played[row]
    station.bank.release_row(station.handle)
    handle = station.bank.reserve_row().handle
    here = RemoteAddresses(raw_address("10.0.0.1", 5000), raw_address("10.0.0.1", 5001))
    spec = StreamSpec(("10.0.0.1", 5000))
    open_stream(station.bank, handle, spec, here, frame=0, now=0.0)
    for name in ("played", "concealed", "late", "inserted", "dropped", "duplicates"):
        assert getattr(playout, name)[row] == 0
    assert station.bank.reception.row_numbers(row) == (0, 0)
    assert station.bank.reception.received[row] == station.bank.reception.jitter[row] == 0


class Layout(ArrayGroup):
    one = column(np.int64)
    other = column(np.uint8, 3, default=7)
    two = column(np.int64)
    wide = column(np.int16, "samples")


def test_a_group_has_the_arrays_that_it_declares():
    group = Layout(5, samples=4)
    shapes = {name: getattr(group, name).shape for name in Layout.columns}
    assert shapes == {"one": (5,), "other": (5, 3), "two": (5,), "wide": (5, 4)}
    assert group.other.dtype == np.uint8
    assert (group.other == 7).all()
    assert not group.one.any()
    assert not hasattr(Layout, "one")


def test_columns_of_one_kind_are_a_block_in_their_order():
    group = Layout(5, samples=4)
    group.two[3] = 9
    assert group.block("one").shape == (2, 5)
    assert group.block("one")[1, 3] == 9
    assert np.shares_memory(group.block("two"), group.one)


def test_a_row_is_reset_alone():
    group = Layout(2, samples=4)
    for name in Layout.columns:
        getattr(group, name)[:] = 1
    group.reset_row(0)
    assert (group.one[0], group.two[0]) == (0, 0)
    assert group.other.tolist() == [[7, 7, 7], [1, 1, 1]]
    assert group.wide.tolist() == [[0] * 4, [1] * 4]

"""Every cell of the matrix: each place where AWS is called, by each error that is documented for that call.

The places are seen, not listed: first those of the runs without a fault, then those that only a run with a fault comes
to. So a new state or call has its cells as soon as a scenario comes through it. A cell begins as a copy of the run that
has come to its place, so what lies before it is run once for all cells.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lab.simulator.copies import Copies
from lab.simulator.injection import ALWAYS, Fault, Site
from lab.simulator.world import World
from tests.simulator.faults.documented_errors import documented_errors
from tests.simulator.faults.invariants import judge
from tests.simulator.faults.scenarios import SCENARIOS

# Of each kind one error, for when there is no time for all that are documented.
_ONE_OF_EACH = ("RequestLimitExceeded", "SlowDown", "ThrottlingException", "TooManyRequestsException")
_DENIED = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")


@dataclass(frozen=True, order=True)
class Cell:
    """A run with faults, and how it ended; the last fault is the cell's own."""

    scenario: str
    faults: tuple[Fault, ...]
    ends: tuple[str, ...]
    violations: tuple[str, ...]


@dataclass
class Matrix:
    """All cells, and the places that they are at."""

    cells: list[Cell] = field(default_factory=list)
    sites: dict[Site, None] = field(default_factory=dict)
    # The places that a cell's run came to, until they are looked at.
    seen: dict[Cell, list[Site]] = field(default_factory=dict)

    @property
    def violations(self) -> list[str]:
        return [f"{c.scenario} | {' + '.join(map(str, c.faults))}: {each}" for c in self.cells for each in c.violations]


class Depth(StrEnum):
    """How many cells a place has."""

    # Another kind of fault at each place of one hang: what `make test` has time for.
    HANG = "hang"
    # One throttling, one denial, lost, slow, dies.
    KINDS = "kinds"
    # Every error that AWS documents for the call, too.
    ALL = "all"


def faults_at(site: Site, depth: Depth) -> list[Fault]:
    if depth is Depth.HANG:
        kinds = faults_at(site, Depth.KINDS)
        # The same in each run, as hash() is not.
        return [kinds[zlib.crc32(str(site).encode()) % len(kinds)]]
    faults = []
    for error in documented_errors(site.service, site.operation):
        if depth is Depth.KINDS and error.code not in (*_ONE_OF_EACH, *_DENIED):
            continue
        if error.is_transient:
            faults.append(Fault(site, "refused", error.code))
        if depth is Depth.ALL or not error.is_transient:
            faults.append(Fault(site, "refused", error.code, times=ALWAYS))
    ways = ("lost", "slow") if site.is_state else ("lost", "slow", "dies")
    return faults + [Fault(site, how) for how in ways]


def run_matrix(world: World, scenarios: Iterable[str], depth: Depth) -> Matrix:
    """Places of undisturbed runs, then places that one fault leads to; these not for a hang alone."""
    matrix = Matrix()
    for scenario in scenarios:
        _explore(world, matrix, scenario, (), depth)
        _say(matrix, scenario)
    if depth is Depth.HANG:
        return matrix
    for cell in list(matrix.cells):
        beyond = [site for site in matrix.seen.pop(cell, []) if site not in matrix.sites]
        if beyond:
            _explore(world, matrix, cell.scenario, cell.faults, depth)
    _say(matrix, "places that only a fault leads to")
    return matrix


def _say(matrix: Matrix, done: str) -> None:
    """Progress, which `make faults` shows."""
    print(
        f"{done}: {len(matrix.cells)} cells by now, violations:",
        *(matrix.violations or ["none"]),
        sep="\n  ",
        flush=True,
    )


def _explore(world: World, matrix: Matrix, scenario: str, before: tuple[Fault, ...], depth: Depth) -> None:
    """Make one run, and at each place that is new a copy for each of its faults."""
    copies = Copies()
    if copies.fork():
        _run_exploring(world, copies, set(matrix.sites), scenario, before, depth)
    (found,) = copies.wait()
    for site in found["sites"]:
        matrix.sites[Site(*site)] = None
    results = [found["own"], *found["cells"]] if not before else found["cells"]
    for cell, seen in sorted((_cell(scenario, each), each["seen"]) for each in results):
        if cell.faults or cell.violations:
            matrix.cells.append(cell)
            matrix.seen[cell] = [Site(*each) for each in seen]


def _run_exploring(
    world: World,
    copies: Copies,
    known: set[Site],
    scenario: str,
    before: tuple[Fault, ...],
    depth: Depth,
) -> None:
    cells = Copies()
    sites: list[Site] = []

    def branch(site: Site) -> None:
        if site in known or cells.is_copy or len(world.injection.hit) < len(before):
            return
        sites.append(site)
        for fault in faults_at(site, depth):
            if cells.fork():
                world.injection.faults = [*before, fault]
                return

    try:
        world.injection.begin(list(before))
        world.injection.at_new_site = branch
        SCENARIOS[scenario](world)
        own = _outcome(world)
        if cells.is_copy:
            cells.leave(own)
        copies.leave({"own": own, "cells": cells.wait(), "sites": [(site.caller, site.call) for site in sites]})
    except BaseException as error:
        error.add_note(f"{scenario}: {'; '.join(map(str, world.injection.faults))}")
        (cells if cells.is_copy else copies).leave_crashed(error)


def _outcome(world: World) -> dict[str, Any]:
    faults = list(world.injection.faults)
    seen = [(site.caller, site.call) for site in world.injection.seen]
    missed = [f"was never met: {fault}" for fault in faults if fault not in world.injection.hit]
    told = judge(world, faults)
    said = [(f.site.caller, f.site.call, f.how, f.code, f.times, f.nth) for f in faults]
    return {"faults": said, "ends": told["ends"], "violations": missed + told["violations"], "seen": seen}


def _cell(scenario: str, said: dict[str, Any]) -> Cell:
    faults = tuple(Fault(Site(caller, call), *rest) for caller, call, *rest in said["faults"])
    return Cell(scenario, faults, tuple(said["ends"]), tuple(said["violations"]))


def run_once(world: World, scenario: str, faults: list[Fault]) -> dict[str, Any]:
    """One run with these faults: `{"ends","violations","seen"}`."""
    copies = Copies()
    if copies.fork():
        try:
            world.injection.begin(faults)
            SCENARIOS[scenario](world)
            own = _outcome(world)
        except BaseException as error:
            copies.leave_crashed(error)
        copies.leave(own)
    (told,) = copies.wait()
    return dict(told)


def sites_of_scenarios(world: World) -> dict[str, list[Site]]:
    """The places that each scenario comes through when nothing goes wrong."""
    return {name: [Site(*each) for each in run_once(world, name, [])["seen"]] for name in SCENARIOS}

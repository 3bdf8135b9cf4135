"""Random schedules: several faults in one run, and alarms that come twice, at the same moment, or late.

A schedule is made from its number alone, so a failure is repeated by its number.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lab.simulator.copies import Copies
from lab.simulator.injection import ALWAYS, Fault, Site
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from tests.simulator.faults.invariants import judge
from tests.simulator.faults.matrix import Depth, faults_at
from tests.simulator.faults.scenarios import HANGS, SCENARIOS

_MOST_FAULTS = 4


def run_schedules(world: World, numbers: Iterable[int], *, sites: Mapping[str, Sequence[Site]]) -> dict[int, list[str]]:
    """The violations of each schedule; `sites` are the places that each scenario comes through."""
    copies = Copies()
    for number in numbers:
        if number % 100 == 0:
            print(f"schedule {number}", flush=True)
        if copies.fork():
            try:
                violations = _run(world, number, sites)
            except BaseException as error:
                copies.leave_crashed(error)
            copies.leave({"number": number, "violations": violations})
    return {each["number"]: each["violations"] for each in copies.wait()}


def _run(world: World, number: int, sites: Mapping[str, Sequence[Site]]) -> list[str]:
    chance = random.Random(number)  # noqa: S311 - repeatable on purpose
    scenario = chance.choice(sorted(SCENARIOS))
    faults = draw(chance, sites[scenario])
    world.injection.begin(faults)
    if scenario in HANGS:
        _deliver_again(world, chance)
    SCENARIOS[scenario](world)
    story = f"schedule {number}, {scenario}: {'; '.join(map(str, faults))}"
    violations: list[Any] = judge(world, faults)["violations"]
    return [f"{story}: {each}" for each in violations]


def draw(chance: random.Random, sites: Sequence[Site]) -> list[Fault]:
    """Some faults at some of these places, each at its first, second or third call, for one, two or all calls."""
    faults = []
    for _ in range(chance.randint(1, _MOST_FAULTS)):
        drawn = chance.choice(faults_at(chance.choice(sites), Depth.ALL))
        times = drawn.times if drawn.times == ALWAYS or drawn.how != "refused" else chance.choice((1, 2, ALWAYS))
        faults.append(Fault(drawn.site, drawn.how, drawn.code, times, chance.choice((1, 1, 2, 3))))
    return faults


def _deliver_again(world: World, chance: random.Random) -> None:
    """At the same moment, some seconds or minutes later, or when all is long over."""

    def deliver() -> None:
        # The scenario waits 150 s before its own delivery.
        scheduler.sleep(150 + chance.choice((0.0, 0.0, 3.0, 40.0, 600.0, 7200.0)))
        world.alarm()

    for _ in range(chance.randint(0, 3)):
        scheduler.spawn(deliver)

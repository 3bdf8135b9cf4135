"""How long EnrolFleet takes for a fleet, what it asks of AWS meanwhile, and what that leaves to the gate. Simulated.

What one enrolment asks for, and when, is recorded from the deployed machines in the simulator. A fleet is that many
times the recording, in virtual time, against the same token buckets: the planner and its rounds are the real ones, and
a request that is refused comes again as a state's retry would. The gate's requests come in between.
"""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count, islice, pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from analysis.command_line import UserError
from bench.peers import plot
from infra.synth import synthesize
from lab.simulator.request_rates import Bucket, RequestRates, Tokens
from lab.simulator.scheduler import scheduler
from lab.simulator.world import SETTINGS, World, deployed
from lambdas.fleet.attempts import after_failure, after_success
from lambdas.fleet.plan import Deployment, Member, plan
from lambdas.fleet.rounds import round_id, round_size
from lambdas.runtime.errors import AwsUnavailable

if TYPE_CHECKING:
    from lambdas.fleet.row import FleetRow

SIZES = (1_000, 10_000, 100_000)
# The default, and the most that a user may set.
CONCURRENCIES = (50, 250)
# infra/fleet/machine.py
SETTLE_SECONDS = 60
# To read a hundred pages of instances and rows and to write ten thousand claims; assumed, not measured.
PLAN_SECONDS = 30
# infra/states/tasks.py: up to so long after an attempt, with full jitter.
RETRY_SECONDS = [min(60.0, 2 * 2.5**attempt) for attempt in range(9)]
# Of the SDK in the gate's functions: lambdas/runtime/clients.py.
SDK_RETRY_SECONDS = [1.0, 2.0, 4.0, 8.0]
GATE_EVERY_SECONDS = 60
DOLLARS_A_TRANSITION = 0.025 / 1000
CONFIGURATION = "bench"
BEGIN = datetime(2026, 12, 1, tzinfo=UTC)


class NotRecorded(UserError):
    """The simulator did not show an enrolment."""


@dataclass(frozen=True)
class Request:
    """`after` seconds after the one before."""

    after: float
    bucket: Bucket | None


@dataclass(frozen=True)
class Recording:
    """One enrolment's requests, and the states that it entered; the gate's requests from the alarm to the interrupt."""

    enrolment: Sequence[Request]
    transitions: int
    gate: Sequence[Request]


# ---- the recording


def _record(assembly: Path) -> Recording:
    with deployed(assembly) as world:
        rates = RequestRates()
        rates.install(world.account._patches)
        gate = _requests(rates, world.hang, lambda caller: caller == "respond_to_hang")
        scheduler.sleep(3600)
        _, instance_id = world.add_host(is_reserved=True)
        before = _states_entered(world)
        enrolment = _requests(rates, lambda: _enrol(world), _is_of_one_instance(world))
        row = world.fleet()[instance_id]
        if row.status != "ready":
            raise NotRecorded(f"The instance is {row.status.value}: {row.reasons}")
        # The states of the round itself are few, and come once for thousands of instances.
        return Recording(enrolment, _states_entered(world) - before, gate)


def _enrol(world: World) -> None:
    world.let_enrol()
    world.ring()
    world.settle()


def _is_of_one_instance(world: World) -> Callable[[str], bool]:
    machines = world.account.client("stepfunctions")
    (arn,) = [
        each["stateMachineArn"]
        for each in machines.list_state_machines()["stateMachines"]
        if each["name"] == "EnrolFleet"
    ]
    of_the_round = json.loads(machines.describe_state_machine(stateMachineArn=arn)["definition"])["States"]
    return lambda caller: caller != "plan_fleet" and caller.removeprefix("EnrolFleet / ") not in of_the_round


def _requests(rates: RequestRates, act: Callable[[], Any], is_meant: Callable[[str], bool]) -> list[Request]:
    seen: list[tuple[float, Bucket | None]] = []

    def note(caller: str, bucket: Bucket | None) -> None:
        if is_meant(caller):
            seen.append((scheduler.now, bucket))

    rates.on_request = note
    act()
    rates.on_request = lambda _caller, _bucket: None
    if not seen:
        raise NotRecorded("Nothing was asked for.")
    return [Request(0, seen[0][1]), *(Request(at - before, bucket) for (before, _), (at, bucket) in pairwise(seen))]


def _states_entered(world: World) -> int:
    machines = world.account.client("stepfunctions")
    pages = machines.get_paginator("get_execution_history")
    return sum(
        event["type"].endswith("StateEntered")
        for execution in world.executions()
        if execution.state_machine.name in ("EnrolFleet", "ProvisionDumpVolume")
        for page in pages.paginate(executionArn=execution.exec_arn)
        for event in page["events"]
    )


# ---- the fleet


class Fleet:
    """Enrols so many instances, at most `concurrency` at the same time; `seconds` is how long that has taken."""

    def __init__(self, recording: Recording, size: int, concurrency: int) -> None:
        self.seconds = 0.0
        self.granted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.failed = 0
        self.rounds = 0
        self.slowest_plan_seconds = 0.0
        # How much later than on its own each event of the gate came to its interrupt.
        self.gate_delays: list[float] = []
        self._recording, self._concurrency = recording, concurrency
        self._random = Random(size * concurrency)  # noqa: S311 - for the waits of retries
        self._tokens = Tokens()
        self._rows: dict[str, FleetRow] = {}
        launched = BEGIN - timedelta(days=1)
        self._members = {
            instance_id: Member(instance_id=instance_id, state="running", enrolled="true", launched_at=launched)
            for instance_id in (f"i-{number:017x}" for number in range(size))
        }

    def run(self) -> None:
        """Round after round, until a plan finds nothing to do."""
        while work := self._plan():
            self._enrol(work)

    def _plan(self) -> list[str]:
        self.rounds += 1
        self.seconds += SETTLE_SECONDS
        deployment = Deployment(
            configuration_id=CONFIGURATION, fleet_limit=len(self._members), now=BEGIN + timedelta(seconds=self.seconds)
        )
        began = time.process_time()
        planned = plan(
            self._members,
            self._rows,
            deployment,
            round_id=round_id("bench", self.rounds),
            most=round_size(self.rounds),
        )
        self.slowest_plan_seconds = max(self.slowest_plan_seconds, time.process_time() - began)
        self._rows.update({row.instance_id: row for row in planned.rows})
        self.seconds += PLAN_SECONDS
        return [item.instance_id for item in planned.work]

    def _enrol(self, work: Sequence[str]) -> None:
        """One round: the map begins the next instance whenever one has ended."""
        waiting = iter(work)
        order = count()
        # (when, order, whose, the request's number, its attempts)
        queue: list[tuple[float, int, str, int, int]] = []

        def begin(instance_id: str) -> None:
            heappush(queue, (self.seconds, next(order), instance_id, 0, 0))

        for instance_id in islice(waiting, self._concurrency):
            begin(instance_id)
        gate = self.seconds + GATE_EVERY_SECONDS
        while queue:
            if queue[0][0] >= gate:
                self.gate_delays.append(self._gate(gate))
                gate += GATE_EVERY_SECONDS
                continue
            self.seconds, _, instance_id, number, attempts = heappop(queue)
            is_over = False
            if self._is_granted(self._recording.enrolment[number]):
                number, attempts = number + 1, 0
                is_over = number == len(self._recording.enrolment)
                wait = 0.0 if is_over else self._recording.enrolment[number].after
            elif attempts < len(RETRY_SECONDS):
                wait, attempts = self._random.uniform(0, RETRY_SECONDS[attempts]), attempts + 1
            else:
                self._fail(instance_id)
                is_over, wait = True, 0.0
            if not is_over:
                heappush(queue, (self.seconds + wait, next(order), instance_id, number, attempts))
                continue
            if number == len(self._recording.enrolment):
                self._succeed(instance_id)
            following = next(waiting, None)
            if following is not None:
                begin(following)

    def _is_granted(self, request: Request) -> bool:
        if request.bucket is None:
            return True
        is_granted = self._tokens.take(request.bucket, self.seconds)
        (self.granted if is_granted else self.refused)[request.bucket.name] += 1
        return is_granted

    def _gate(self, begins: float) -> float:
        """By how much refusals delay one event. Its few requests are taken before later ones of the fleet."""
        now, delay = begins, 0.0
        for request in self._recording.gate:
            now += request.after
            for longest in [*SDK_RETRY_SECONDS, None]:
                if request.bucket is None or self._tokens.take(request.bucket, now):
                    break
                # The last attempt of the SDK failed: the event is delivered again a minute later.
                wait = self._random.uniform(0, longest) if longest else 60.0
                now, delay = now + wait, delay + wait
        return delay

    def _succeed(self, instance_id: str) -> None:
        row, now = self._rows[instance_id], BEGIN + timedelta(seconds=self.seconds)
        outcome = {"status": "ready"}
        self._rows[instance_id] = after_success(row, outcome, configuration_id=CONFIGURATION, now=now)
        self._members[instance_id] = replace(self._members[instance_id], is_marked_ready=True)

    def _fail(self, instance_id: str) -> None:
        self.failed += 1
        row, now = self._rows[instance_id], BEGIN + timedelta(seconds=self.seconds)
        self._rows[instance_id] = after_failure(
            row, AwsUnavailable.__name__, "throttled", configuration_id=CONFIGURATION, now=now
        )


# ---- the measurement


def _row(recording: Recording, size: int, concurrency: int) -> dict[str, Any]:
    fleet = Fleet(recording, size, concurrency)
    fleet.run()
    buckets = {each.bucket.name: each.bucket for each in recording.enrolment if each.bucket}
    of_one = Counter(each.bucket.name for each in recording.enrolment if each.bucket)
    fastest = {name: buckets[name].rate.refill / asked for name, asked in of_one.items()}
    tightest = min(fastest, key=lambda name: fastest[name])
    rate = size / fleet.seconds
    delays = sorted(fleet.gate_delays)
    return {
        "instances": size,
        "concurrency": concurrency,
        "hours": round(fleet.seconds / 3600, 2),
        "enrolled_per_second": round(rate, 3),
        "tightest_bucket": tightest,
        "ratio_to_tightest_bucket": round(rate / fastest[tightest], 2),
        "failed_for_an_hour": fleet.failed,
        "requests": sum(fleet.granted.values()),
        "refused": dict(fleet.refused.most_common()),
        "rounds": fleet.rounds,
        "slowest_plan_cpu_seconds": round(fleet.slowest_plan_seconds, 2),
        "transitions": recording.transitions * size,
        "transitions_dollars": round(recording.transitions * size * DOLLARS_A_TRANSITION, 2),
        "gate_events": len(delays),
        "gate_delayed": sum(each > 0 for each in delays),
        "gate_delay_seconds_p99": round(delays[int(len(delays) * 0.99)], 2) if delays else None,
        "gate_delay_seconds_max": round(delays[-1], 2) if delays else None,
    }


def _rows(recording: Recording, sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    for concurrency in CONCURRENCIES:
        for size in sizes:
            row = _row(recording, size, concurrency)
            print(json.dumps(row), flush=True)
            yield row


def measure(results: Path) -> None:
    """Writes fleet.json and fleet.png below `results`."""
    with tempfile.TemporaryDirectory(prefix="hangdump-bench-") as scratch:
        recording = _record(synthesize(Path(scratch) / "cdk.out", SETTINGS))
    asked = Counter(each.bucket.name for each in recording.enrolment if each.bucket)
    seconds = sum(each.after for each in recording.enrolment)
    print(
        f"one enrolment: {seconds:.0f} s, {recording.transitions} transitions, {dict(asked.most_common())}", flush=True
    )
    results.mkdir(parents=True, exist_ok=True)
    path = results / "fleet.json"
    path.write_text(json.dumps(list(_rows(recording, SIZES)), indent=2) + "\n", encoding="utf-8")
    plot("fleet", path)

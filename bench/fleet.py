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
from functools import partial
from heapq import heappop, heappush
from itertools import count, islice, pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from analysis.command_line import UserError
from bench.peers import plot
from infra.states.tasks import RETRY
from infra.synth import synthesize
from lab.simulator.request_rates import Bucket, RequestRates, Tokens
from lab.simulator.scheduler import scheduler
from lab.simulator.world import SETTINGS, World, deployed
from lambdas.fleet.attempts import after_failure, after_success
from lambdas.fleet.plan import Deployment, Member, plan
from lambdas.fleet.rounds import most_at_once, round_id, round_size, start_of
from lambdas.runtime.errors import AwsUnavailable

if TYPE_CHECKING:
    from lambdas.fleet.row import FleetRow

SIZES = (1_000, 10_000, 100_000)
# The default, and the most that a user may set.
PER_MINUTE = (20, 95)
# infra/fleet/machine.py
SETTLE_SECONDS = 60
# To read a hundred pages of instances and rows and to write ten thousand claims; assumed, not measured.
PLAN_SECONDS = 30
# Up to so long after an attempt, with full jitter.
RETRY_SECONDS = [
    min(RETRY["MaxDelaySeconds"], RETRY["IntervalSeconds"] * RETRY["BackoffRate"] ** attempt)
    for attempt in range(RETRY["MaxAttempts"])
]
# Of the SDK in the gate's functions: lambdas/runtime/clients.py. After its last attempt, the event is delivered again.
SDK_RETRY_SECONDS = [1.0, 2.0, 4.0, 8.0]
REDELIVERY_SECONDS = 60.0
GATE = "the gate"
GATE_EVERY_SECONDS = 60
# The simulator's documents end at once. Assumed: configure_kdump installs packages.
DOCUMENT_SECONDS = {"prepare_dump_volume": 10.0, "configure_kdump": 60.0, "check_kdump": 20.0}
# The simulator's scenarios poll seldom. How often a user's stack does, counts here.
AS_DEPLOYED = {name: value for name, value in SETTINGS.items() if name != "pollSeconds"}
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
        host, instance_id = world.add_host(is_reserved=True)
        host.before = {name: partial(scheduler.sleep, seconds) for name, seconds in DOCUMENT_SECONDS.items()}
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


@dataclass
class _Course:
    """The requests that one instance or one event of the gate has made, and makes next."""

    whose: str
    requests: Sequence[Request]
    # The longest waits after refusals, in their order.
    waits: Sequence[float]
    # Whether it waits as long as the last time for ever, or gives up.
    goes_on: bool = False
    number: int = 0
    attempts: int = 0
    # How long refusals have kept it.
    delay: float = 0.0

    @property
    def request(self) -> Request:
        return self.requests[self.number]

    @property
    def is_over(self) -> bool:
        return self.number == len(self.requests)

    @property
    def is_at_its_begin(self) -> bool:
        return (self.number, self.attempts) == (0, 0)

    def next_wait(self, *, is_granted: bool, random: Random) -> float | None:
        """Seconds until it asks again; None: it has ended."""
        if is_granted:
            self.number, self.attempts = self.number + 1, 0
            return None if self.is_over else self.request.after
        if self.attempts == len(self.waits) and not self.goes_on:
            return None
        wait = random.uniform(0, self.waits[min(self.attempts, len(self.waits) - 1)])
        self.attempts, self.delay = self.attempts + 1, self.delay + wait
        return wait


class Fleet:
    """Enrols so many instances, so many a minute; `seconds` is how long that has taken."""

    def __init__(self, recording: Recording, size: int, per_minute: int) -> None:
        self.seconds = 0.0
        self.granted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.failed = 0
        self.rounds = 0
        self.slowest_plan_seconds = 0.0
        # How much later than on its own each event of the gate came to its interrupt.
        self.gate_delays: list[float] = []
        self._recording, self._per_minute = recording, per_minute
        self._random = Random(size * per_minute)  # noqa: S311 - for the waits of retries
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
            most=round_size(self.rounds, self._per_minute),
        )
        self.slowest_plan_seconds = max(self.slowest_plan_seconds, time.process_time() - began)
        self._rows.update({row.instance_id: row for row in planned.rows})
        self.seconds += PLAN_SECONDS
        return [item.instance_id for item in planned.work]

    def _enrol(self, work: Sequence[str]) -> None:
        """One round: the map begins the next instance whenever one has ended."""
        waiting = enumerate(work)
        order = count()
        planned_at = self.seconds
        queue: list[tuple[float, int, _Course]] = []

        def begin(place: int, instance_id: str) -> None:
            course = _Course(instance_id, self._recording.enrolment, RETRY_SECONDS)
            start = planned_at + (start_of(place, self._per_minute, BEGIN) - BEGIN).total_seconds()
            heappush(queue, (max(self.seconds, start), next(order), course))

        def alarm() -> None:
            course = _Course(GATE, self._recording.gate, [*SDK_RETRY_SECONDS, REDELIVERY_SECONDS], goes_on=True)
            heappush(queue, (self.seconds + GATE_EVERY_SECONDS, next(order), course))

        for place, instance_id in islice(waiting, most_at_once(self._per_minute)):
            begin(place, instance_id)
        alarm()
        left = len(work)
        while left:
            self.seconds, _, course = heappop(queue)
            if course.whose == GATE and course.is_at_its_begin:
                alarm()
            wait = course.next_wait(is_granted=self._is_granted(course), random=self._random)
            if wait is not None:
                heappush(queue, (self.seconds + wait, next(order), course))
            elif course.whose == GATE:
                self.gate_delays.append(course.delay)
            else:
                (self._succeed if course.is_over else self._fail)(course.whose)
                left -= 1
                following = next(waiting, None)
                if following is not None:
                    begin(*following)

    def _is_granted(self, course: "_Course") -> bool:
        bucket = course.request.bucket
        if bucket is None:
            return True
        is_granted = self._tokens.take(bucket, self.seconds)
        if course.whose != GATE:
            (self.granted if is_granted else self.refused)[bucket.name] += 1
        return is_granted

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


def _row(recording: Recording, size: int, per_minute: int) -> dict[str, Any]:
    fleet = Fleet(recording, size, per_minute)
    fleet.run()
    buckets = {each.bucket.name: each.bucket for each in recording.enrolment if each.bucket}
    of_one = Counter(each.bucket.name for each in recording.enrolment if each.bucket)
    fastest = {name: buckets[name].rate.refill / asked for name, asked in of_one.items()}
    tightest = min(fastest, key=lambda name: fastest[name])
    rate = size / fleet.seconds
    delays = sorted(fleet.gate_delays)
    return {
        "instances": size,
        "enrolments_per_minute": per_minute,
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
    for per_minute in PER_MINUTE:
        for size in sizes:
            row = _row(recording, size, per_minute)
            print(json.dumps(row), flush=True)
            yield row


def measure(results: Path) -> None:
    """Writes fleet.json and fleet.png below `results`."""
    with tempfile.TemporaryDirectory(prefix="hangdump-bench-") as scratch:
        recording = _record(synthesize(Path(scratch) / "cdk.out", AS_DEPLOYED))
    asked = Counter(each.bucket.name for each in recording.enrolment if each.bucket)
    seconds = sum(each.after for each in recording.enrolment)
    print(
        f"one enrolment: {seconds:.0f} s, {recording.transitions} transitions, {dict(asked.most_common())}", flush=True
    )
    results.mkdir(parents=True, exist_ok=True)
    path = results / "fleet.json"
    path.write_text(json.dumps(list(_rows(recording, SIZES)), indent=2) + "\n", encoding="utf-8")
    plot("fleet", path)

"""A 24 TiB dump on paper: parts, batches, URL lifetimes, state transitions and history, against every quota they meet.

Memory as of EC2's largest machine (u7in-24tb), level 0: the dump is as large as memory. A slower disk than the slowest
one here could not even take that dump within a day, the longest that dumpTimeoutSeconds allows.
"""

import json
from dataclasses import dataclass

import pytest

from infra.settings import Settings
from infra.states.poll import polling
from infra.states.run_document import DELIVERY_SECONDS
from infra.upload.states import MAX_POLLS, STALLED_ROUNDS, UPLOAD_ROUNDS
from lambdas.runtime.bucket import SESSION_SECONDS
from lambdas.upload.manifest import URL_SECONDS, Line
from lambdas.upload.part_plan import MIB, PartPlan, plan_parts
from tests.infra.template import Machine, Template

TIB = 1024**4
SIZE_BYTES = 24 * TIB
DAY_SECONDS = 86_400

# Amazon S3: 10,000 parts of 5 MiB to 5 GiB, 50 TB an object. Step Functions standard: 25,000 events of history, a year,
# 256 KiB of state. STS: role chaining limits a session to an hour. Lambda: 15 minutes, 512 MiB as configured here.
S3_PARTS, S3_PART_BYTES = 10_000, (5 * MIB, 5 * 1024 * MIB)
HISTORY_EVENTS, EXECUTION_SECONDS, STATE_BYTES = 25_000, 365 * DAY_SECONDS, 256 * 1024
ROLE_CHAINING_SECONDS = 3600
# Wait 2, Task 5, Choice 2, Pass 2
EVENTS_OF_A_LOOK = 9
# Plan 5, is anything left 2, count 2, send 5, start waiting 2, read result 5, room for one caught failure 5
EVENTS_OF_A_ROUND = 26


@dataclass(frozen=True)
class OnPaper:
    """The upload at one throughput of disk and network, MiB/s."""

    throughput_mibs: int

    @property
    def plan(self) -> PartPlan:
        return plan_parts(SIZE_BYTES, memory_bytes=SIZE_BYTES, bytes_per_second=self.throughput_mibs * MIB)

    @property
    def batch_seconds(self) -> float:
        return self.plan.parts_per_batch * self.plan.part_bytes / (self.throughput_mibs * MIB)

    @property
    def rounds(self) -> int:
        """One to describe the first batch, then one a batch."""
        return self.plan.batches + 1

    @property
    def looks_of_a_round(self) -> int:
        settings = Settings.model_validate({})
        seconds = settings.upload_timeout_seconds + DELIVERY_SECONDS
        polls = polling(seconds, settings.poll_seconds, max_polls=MAX_POLLS)
        waited, looks = 0.0, 0
        while waited < self.batch_seconds:
            waited += polls.first_seconds + polls.growth_seconds * looks
            looks += 1
        assert looks <= polls.limit, "the round would be given up"
        return looks


@pytest.fixture(params=[291, 500, 1000, 2000], ids=lambda mibs: f"{mibs}-MiB/s")
def upload(request: pytest.FixtureRequest) -> OnPaper:
    return OnPaper(request.param)


def test_the_slowest_disk_here_takes_the_dump_within_a_day() -> None:
    assert SIZE_BYTES / (291 * MIB) < DAY_SECONDS + 600
    assert SIZE_BYTES / (290 * MIB) > DAY_SECONDS


def test_s3_takes_its_parts(upload: OnPaper) -> None:
    assert upload.plan.parts <= S3_PARTS
    assert S3_PART_BYTES[0] <= upload.plan.part_bytes <= S3_PART_BYTES[1]


def test_urls_live_longer_than_a_batch_takes_and_no_longer_than_their_session(upload: OnPaper) -> None:
    assert upload.batch_seconds * 1.4 < URL_SECONDS
    assert URL_SECONDS < SESSION_SECONDS <= ROLE_CHAINING_SECONDS


def test_a_round_ends_within_the_time_of_its_command(upload: OnPaper) -> None:
    assert upload.batch_seconds * 2 < Settings.model_validate({}).upload_timeout_seconds


def test_its_rounds_are_allowed_and_leave_room_for_some_that_fail(upload: OnPaper) -> None:
    assert upload.rounds + STALLED_ROUNDS <= UPLOAD_ROUNDS


def test_its_history_fits(upload: OnPaper, template: Template) -> None:
    machine: Machine = template.machine("CollectVmcore")
    rest = 5 * len(machine.states) + 400 * 13  # every other state once, and the whole watch of the dump
    events = upload.rounds * (EVENTS_OF_A_ROUND + EVENTS_OF_A_LOOK * upload.looks_of_a_round)
    assert events + rest < HISTORY_EVENTS


def test_the_execution_lasts_long_enough_and_not_too_long(upload: OnPaper, template: Template) -> None:
    timeout = template.machine("CollectVmcore").definition["TimeoutSeconds"]
    assert upload.rounds * (upload.batch_seconds + 600) + DAY_SECONDS < timeout < EXECUTION_SECONDS


def test_a_manifest_fits_into_the_function_and_never_into_the_state(upload: OnPaper) -> None:
    line = Line("part", 10_000, SIZE_BYTES, upload.plan.part_bytes, "A" * 44, "https://x" + "u" * 2000)
    manifest_bytes = len(line.as_tsv()) * upload.plan.parts_per_batch
    assert manifest_bytes < 16 * MIB
    planned = {"manifestUrl": "u" * 2000, "keys": dict.fromkeys("abcde", "k" * 200)}
    assert len(json.dumps(planned)) < STATE_BYTES / 10

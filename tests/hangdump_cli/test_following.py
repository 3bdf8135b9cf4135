"""What was started is never lost: executions that are followed, refused, slow or many. On a small fake of AWS."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions as aws
from click.testing import CliRunner

from hangdump_cli import executions, instances
from hangdump_cli.app import cli
from hangdump_cli.aws import Aws, Clock
from hangdump_cli.commands import enrol, interrupt
from hangdump_cli.errors import CommandFailed, Exit
from hangdump_cli.executions import Ended
from hangdump_cli.incidents import Incident
from hangdump_cli.instances import Instance
from hangdump_cli.invocation import Invocation
from hangdump_cli.output import Progress
from hangdump_cli.plan import Plan
from hangdump_cli.quotas import read_quotas
from hangdump_cli.rights import Right, simulate
from hangdump_cli.stack import Stack
from lambdas.runtime.stack_parameter import Output

NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
IDS = [f"i-0{number:016x}" for number in range(12)]
OUTPUTS = {name.value: f"arn:aws:states:eu-central-1:123456789012:stateMachine:{name.value}" for name in Output}


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now, self.slept = NOW, list[float]()

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.slept.append(seconds)

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.now, sleep=self.sleep)


class Fake(Aws):
    """Calls by their names; pages hold what `listed` has."""

    def __init__(self, *, listed: dict[str, list[dict[str, Any]]] | None = None, **calls: Callable[..., Any]) -> None:
        super().__init__(region="eu-central-1")
        self.listed, self.calls = listed or {}, calls

    def client(self, service: str) -> Any:
        return SimpleNamespace(**self.calls)

    def pages(self, service: str, operation: str, **parameters: Any) -> Any:
        return self.listed.get(operation, []) or self.calls[operation](**parameters)


def _run(fake: Fake, time: Time) -> Invocation:
    run = Invocation(clock=time.clock)
    run.__dict__ |= {"aws": fake, "stack": Stack(name="Hangdump", outputs=OUTPUTS)}
    return run


def _instance(instance_id: str) -> Instance:
    return Instance(instance_id=instance_id, state="running", instance_type="m5.large", zone="a", launched_at=NOW)


def _error(code: str) -> aws.ClientError:
    return aws.ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeExecution")


def _seen(status: str, **more: Any) -> dict[str, Any]:
    return {"status": status, "startDate": NOW, "output": json.dumps({"status": "ready"}), **more}


def _answers(*given: Any) -> Callable[..., Any]:
    """Each in turn, the last one for ever."""
    left: Iterator[Any] = iter(given)

    def call(**_: Any) -> Any:
        answer = next(left, given[-1])
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


def _follow(*given: Any, timeout_seconds: float = 60) -> Ended:
    fake = Fake(describe_execution=_answers(*given), get_execution_history=lambda **_: {"events": []})
    quiet = Progress(lambda _: None)
    return executions.follow(fake, "arn:x", clock=Time().clock, progress=quiet, timeout_seconds=timeout_seconds)


def test_following_rides_out_throttling_and_a_lost_network() -> None:
    lost = aws.EndpointConnectionError(endpoint_url="https://x")
    assert _follow(_seen("RUNNING"), _error("ThrottlingException"), lost, _seen("SUCCEEDED")).status == "SUCCEEDED"


@pytest.mark.parametrize(
    ("answer", "code"),
    [(_error("ThrottlingException"), Exit.OUT_OF_TIME), (_error("AccessDeniedException"), Exit.NO_ACCESS)],
)
def test_an_error_after_the_start_names_what_goes_on(answer: Exception, code: Exit) -> None:
    with pytest.raises(CommandFailed) as told:
        _follow(answer)
    assert (told.value.exit, "The execution goes on: arn:x" in told.value.happened) == (code, True)


def test_a_running_execution_is_found_by_its_name_or_by_its_input() -> None:
    named = {"name": f"20261130T030000Z-{IDS[1]}", "executionArn": "arn:1", "startDate": NOW}
    plain = {"name": "3f0c", "executionArn": "arn:2", "startDate": NOW}
    fake = Fake(
        listed={"list_executions": [{"executions": [named, plain]}]},
        describe_execution=_answers(_seen("RUNNING", input=json.dumps({"instanceId": IDS[2]}))),
    )
    found = executions.running(fake, "machine")
    assert {instance: each.arn for instance, each in found.items()} == {IDS[1]: "arn:1", IDS[2]: "arn:2"}


@pytest.mark.parametrize(("listed", "is_complete"), [(10, True), (300, False)])
def test_a_search_tells_whether_it_saw_everything(listed: int, is_complete: bool) -> None:
    others = [{"name": IDS[1], "executionArn": "arn:x", "startDate": NOW}] * listed
    found = executions.last_of_each(Fake(listed={"list_executions": [{"executions": others}]}), "machine", [IDS[0]])
    assert (found.found, found.is_complete) == ({}, is_complete)


# ---- enrol


def _start_all(*given: Any, time: Time) -> list[enrol.Enrolled]:
    run = _run(Fake(start_execution=_answers(*given)), time)
    found = [_instance(each) for each in IDS[: len(given)]]
    return enrol.start_all(run, found, {}, Progress(lambda _: None))


def test_one_that_cannot_be_started_does_not_lose_the_others() -> None:
    time = Time()
    results = _start_all({"executionArn": "arn:1"}, _error("ThrottlingException"), {"executionArn": "arn:3"}, time=time)
    assert [each.arn for each in results] == ["arn:1", "", "arn:3"]
    assert [each.readiness.code for each in results] == ["still-running", "failed-to-start", "still-running"]
    # Two a second.
    assert time.slept == [0.5, 0.5]


def test_when_none_is_started_the_command_ends_with_the_reason() -> None:
    with pytest.raises(CommandFailed) as told:
        _start_all(_error("AccessDeniedException"), _error("AccessDeniedException"), time=Time())
    assert told.value.exit == Exit.NO_ACCESS


def _followed(answers: dict[str, dict[str, Any]], time: Time) -> list[enrol.Enrolled]:
    fake = Fake(
        describe_execution=lambda executionArn: answers[executionArn],  # noqa: N803 - AWS's name
        get_execution_history=lambda **_: {"events": []},
    )
    started = [enrol._runs(instance, arn) for instance, arn in zip(IDS, answers, strict=False)]
    return enrol.follow_all(_run(fake, time), started, Progress(lambda _: None), timeout_seconds=30)


def test_one_that_is_slow_is_told_as_running_beside_those_that_ended() -> None:
    results = _followed({"arn:slow": _seen("RUNNING"), "arn:done": _seen("SUCCEEDED")}, Time())
    assert [each.readiness.code for each in results] == ["still-running", "ready"]
    assert "arn:slow" in results[0].readiness.words
    assert enrol._exit(results, is_waited_for=True) == Exit.OUT_OF_TIME


def test_an_execution_that_wants_a_reboot_is_not_ready_whatever_the_tags_say() -> None:
    (result,) = _followed({"arn:x": _seen("SUCCEEDED", output=json.dumps({"status": "reboot-required"}))}, Time())
    assert result.readiness.code == "reboot-required"
    assert enrol._exit([result], is_waited_for=True) == Exit.NOT_GOOD


def test_ctrl_c_names_every_execution_that_goes_on() -> None:
    class Impatient(Time):
        def sleep(self, seconds: float) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as cut:
        _followed({"arn:1": _seen("RUNNING"), "arn:2": _seen("RUNNING")}, Impatient())
    assert cut.value.__notes__ == ["The execution goes on: arn:1", "So do: arn:2"]


def _enrol_many(monkeypatch: pytest.MonkeyPatch, *options: str, typed: str = "") -> tuple[int, str, list[int]]:
    tagged: list[int] = []
    fake = Fake(
        start_execution=lambda **_: {"executionArn": "arn:x"},
        create_tags=lambda **given: tagged.append(len(given["Resources"])),
    )
    monkeypatch.setattr(instances, "named", lambda *_: [_instance(each) for each in IDS])
    monkeypatch.setattr(enrol, "_plan", lambda *_, **__: Plan([], []))
    run = _run(fake, Time())
    said = CliRunner().invoke(cli, ["enrol", "--no-wait", *options, *IDS], input=typed, obj=run)
    return said.exit_code, said.stderr, tagged


def test_many_are_enrolled_only_when_their_number_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    code, told, tagged = _enrol_many(monkeypatch)
    assert (code, "Next: Give --yes." in told, tagged) == (4, True, [])
    assert _enrol_many(monkeypatch, typed="11\n")[2] == []
    assert _enrol_many(monkeypatch, typed="12\n")[::2] == (0, [12])
    assert _enrol_many(monkeypatch, "--yes")[::2] == (0, [12])


def test_as_many_instances_are_asked_for_at_a_time_as_one_call_takes() -> None:
    asked: list[int] = []

    def describe(**given: Any) -> Any:
        asked.append(len(given["InstanceIds"]))
        return []

    with pytest.raises(CommandFailed):
        instances.named(Fake(describe_instances=describe), [f"i-0{number:016x}" for number in range(150)])
    assert asked == [100, 50]


# ---- interrupt


@pytest.mark.parametrize(
    ("status", "verdict", "code"),
    [
        ("SUCCEEDED", "captured", Exit.OK),
        ("SUCCEEDED", "", Exit.NOT_GOOD),
        ("ABORTED", "", Exit.NOT_GOOD),
        ("TIMED_OUT", "captured", Exit.NOT_GOOD),
        ("FAILED", "refused", Exit.REFUSED),
        ("FAILED", "no-panic", Exit.NOT_GOOD),
    ],
)
def test_an_interrupt_is_good_only_with_a_dump_and_a_collection_that_ended(
    monkeypatch: pytest.MonkeyPatch, status: str, verdict: str, code: Exit
) -> None:
    assert _end_interrupt(monkeypatch, status, verdict, "arn:x") == code


def test_the_incident_of_another_execution_is_not_shown_as_this_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandFailed):
        _end_interrupt(monkeypatch, "FAILED", "captured", "arn:other")


def _end_interrupt(monkeypatch: pytest.MonkeyPatch, status: str, verdict: str, arn: str) -> int:
    record = Incident(incident_id="x", instance_id=IDS[0], opened_at=NOW, verdict=verdict, execution_arn=arn)
    monkeypatch.setattr("hangdump_cli.incidents.read", lambda *_: record)
    ended = Ended(arn="arn:x", status=status, started_at=NOW, given={}, output={})
    return interrupt._end(_run(Fake(), Time()), IDS[0], ended)


# ---- quotas, rights


def test_a_quota_whose_service_cannot_be_reached_is_unknown() -> None:
    def unreachable(**_: Any) -> Sequence[Any]:
        raise aws.ConnectTimeoutError(endpoint_url="https://servicequotas")

    nothing: list[dict[str, Any]] = [{"Volumes": [], "MetricAlarms": []}]
    listed = {"describe_volumes": nothing, "describe_alarms": nothing}
    found = read_quotas(Fake(listed=listed, list_service_quotas=unreachable))
    assert [each.limit for each in found.values()] == [None, None]


def test_the_rights_of_a_role_with_a_path_cannot_be_told() -> None:
    fake = Fake(simulate_principal_policy=_answers(_error("NoSuchEntity")))
    right = Right("enrol", "ec2:CreateTags", "*", "ask")
    ((_, told),) = simulate(fake, "arn:aws:sts::1:assumed-role/operators/alice", [right])
    assert "roles with a path" in str(told)

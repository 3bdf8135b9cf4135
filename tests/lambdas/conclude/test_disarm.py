"""When a dump shows that a working instance was interrupted; and what is done then."""

from typing import Any

import pytest

from lambdas.conclude.disarm import disarm, shows_no_hang
from lambdas.incident.record import Incident
from lambdas.runtime import clients
from lambdas.triage import CrashClass, Triage
from lambdas.triage.model import BlockedTask, Trouble
from tests.lambdas.account import Account
from tests.lambdas.conftest import Launch

IDLE = {"cpus": 4, "idleCpus": 4}
BY_ALARM = Incident(incident_id="20261123T040000Z-i-0", origin="alarm")
BLOCKED = BlockedTask(name="mysqld")
QUIET = Triage(crash_class=CrashClass.NMI_HANG, uptime_seconds=5000.0)


def troubled(at: float | None) -> Triage:
    return QUIET.model_copy(update={"warnings": (Trouble(at=at, text="rcu: INFO: rcu_sched detected stalls"),)})


def test_a_dump_of_idle_processors_in_a_quiet_kernel_shows_no_hang() -> None:
    assert shows_no_hang(BY_ALARM, QUIET, IDLE)
    assert shows_no_hang(BY_ALARM, troubled(at=3199.0), IDLE)


@pytest.mark.parametrize(
    ("incident", "triage", "opened"),
    [
        pytest.param(BY_ALARM, QUIET, {"cpus": 4, "idleCpus": 3}, id="a-processor-worked"),
        pytest.param(BY_ALARM, QUIET, {"cpus": 0, "idleCpus": 0}, id="processors-unknown"),
        pytest.param(BY_ALARM, QUIET, {}, id="not-opened"),
        pytest.param(BY_ALARM, troubled(at=3201.0), IDLE, id="complained-lately"),
        pytest.param(BY_ALARM, troubled(at=None), IDLE, id="complained-at-a-time-unknown"),
        pytest.param(
            BY_ALARM,
            QUIET.model_copy(update={"blocked_tasks": (BLOCKED,)}),
            IDLE,
            id="tasks-blocked",
        ),
        pytest.param(
            BY_ALARM, QUIET.model_copy(update={"crash_class": CrashClass.OOPS}), IDLE, id="panicked-by-itself"
        ),
        pytest.param(BY_ALARM.model_copy(update={"origin": "manual"}), QUIET, IDLE, id="a-person-wanted-it"),
    ],
)
def test_in_doubt_a_dump_shows_a_hang(incident: Incident, triage: Triage, opened: dict[str, Any]) -> None:
    assert not shows_no_hang(incident, triage, opened)


def test_disarming_tags_the_instance_with_the_incident(account: Account, launch: Launch) -> None:
    instance_id = launch()
    said = disarm(BY_ALARM.model_copy(update={"instance_id": instance_id}))
    (reservation,) = clients.ec2().describe_instances(InstanceIds=[instance_id])["Reservations"]
    tags = {tag["Key"]: tag["Value"] for tag in reservation["Instances"][0]["Tags"]}
    assert tags["hangdump:disarmed"] == BY_ALARM.incident_id
    assert said.endswith("No alarm will interrupt the instance until its owner removes the tag hangdump:disarmed.")


def test_an_instance_that_cannot_be_tagged_is_told_as_still_armed(account: Account, launch: Launch) -> None:
    hung = BY_ALARM.model_copy(update={"instance_id": launch()})
    account.fail("CreateTags", "InvalidInstanceID.NotFound")
    said = disarm(hung)
    assert said.endswith("Set the tag yourself.")

"""State Manager: associations that run a document on every instance with a tag, and what it tells of those runs.

Real: at once on a node that gets the tag or whose agent answers for the first time, and then by its schedule. moto: no
associations at all. Here: when a scenario says so.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ssm.models import SimpleSystemManagerBackend
from moto.ssm.responses import SimpleSystemManagerResponse

from lab.aws.eventbridge import Notify
from lab.aws.patches import Patches
from lab.aws.run_command import Invocation
from lab.aws.ssm import RunCommand
from lab.aws.state import AccountState, Computer, utc_now
from lab.aws.status_checks import ping_status

_POLL_SECONDS = 0.2


@dataclass
class Association:
    """One association, as the template has it."""

    properties: dict[str, Any]
    association_id: str

    @property
    def document(self) -> str:
        return str(self.properties["Name"])

    def is_for(self, tags: dict[str, str]) -> bool:
        (target,) = self.properties["Targets"]
        return tags.get(target["Key"].removeprefix("tag:")) in target["Values"]


@dataclass
class Run:
    """The last run of an association on one instance."""

    association: Association
    status: str = "Pending"
    executed: datetime | None = None


def associations(backend: SimpleSystemManagerBackend) -> dict[str, Association]:
    """Those of an account, kept where a template's other resources are."""
    if not hasattr(backend, "hangdump_associations"):
        backend.hangdump_associations = {}
    kept: dict[str, Association] = backend.hangdump_associations
    return kept


def create(backend: SimpleSystemManagerBackend, properties: dict[str, Any]) -> Association:
    """As CreateAssociation: with one tag as its target."""
    (target,) = properties["Targets"]
    if not target["Key"].startswith("tag:"):
        raise ValueError(f"the lab's associations have tags as their targets, not {target['Key']}")
    created = Association(properties, str(uuid.uuid4()))
    associations(backend)[created.association_id] = created
    return created


class StateManager:
    """Runs the associations of an account, and keeps how the last run on each instance ended."""

    def __init__(self, state: AccountState, commands: RunCommand, notify: Notify) -> None:
        self._state, self._commands, self._notify = state, commands, notify
        self._runs: dict[tuple[str, str], Run] = {}

    def apply(self) -> None:
        """Begins every association on every instance with its tag whose agent can be reached."""
        for association in associations(self._backend).values():
            for computer in list(self._state.computers.values()):
                is_reached = computer.in_ssm and ping_status(self._state, computer) == "Online"
                if is_reached and association.is_for(self._tags(computer)):
                    self._begin(association, computer)

    def runs_on(self, instance_id: str) -> list[Run]:
        return [run for (name, _), run in self._runs.items() if name == instance_id]

    @property
    def _backend(self) -> SimpleSystemManagerBackend:
        backend: SimpleSystemManagerBackend = self._state.backend("ssm")
        return backend

    def _tags(self, computer: Computer) -> dict[str, str]:
        found = self._state.backend("ec2").describe_tags({"resource-id": [computer.instance_id]})
        return {tag["key"]: tag["value"] for tag in found}

    def _begin(self, association: Association, computer: Computer) -> None:
        request = {
            "DocumentName": association.document,
            "InstanceIds": [computer.instance_id],
            "Parameters": association.properties.get("Parameters", {}),
        }
        run = self._runs[computer.instance_id, association.association_id] = Run(association)
        self._aggregate(computer)
        (invocation,) = self._commands.begin(self._backend, request)
        self._state.spawn("association", self._follow, computer, run, invocation)

    def _aggregate(self, computer: Computer) -> None:
        """Of all associations of a node; which of their statuses wins is inferred."""
        statuses = {run.status for run in self.runs_on(computer.instance_id)}
        computer.association_status = next(each for each in ("Failed", "Pending", "Success") if each in statuses)

    def _follow(self, computer: Computer, run: Run, invocation: Invocation) -> None:
        while not invocation.is_final:
            if not self._state.pause(_POLL_SECONDS):
                return
        run.status, run.executed = "Success" if invocation.status == "Success" else "Failed", utc_now()
        self._aggregate(computer)
        instance_id = computer.instance_id
        account, region = self._state.account_id, self._state.region
        detail = {
            "association-id": run.association.association_id,
            "instance-id": instance_id,
            "document-name": run.association.document,
            "status": run.status,
            "detailed-status": run.status,
            "targets": json.dumps(run.association.properties["Targets"]),
        }
        self._notify(
            "aws.ssm",
            "EC2 State Manager Instance Association State Change",
            detail,
            [
                f"arn:aws:ec2:{region}:{account}:instance/{instance_id}",
                f"arn:aws:ssm:{region}:{account}:document/{run.association.document}",
            ],
        )


def install(patches: Patches, manager: StateManager) -> None:
    def describe_instance_associations_status(response: SimpleSystemManagerResponse) -> ActionResult:
        runs = manager.runs_on(response._get_param("InstanceId"))
        described = [
            {
                "AssociationId": run.association.association_id,
                "Name": run.association.document,
                "AssociationName": run.association.properties.get("AssociationName", ""),
                "InstanceId": response._get_param("InstanceId"),
                "Status": run.status,
                **({"ExecutionDate": run.executed} if run.executed else {}),
            }
            for run in runs
        ]
        return ActionResult({"InstanceAssociationStatusInfos": described})

    patches.add(
        SimpleSystemManagerResponse, "describe_instance_associations_status", describe_instance_associations_status
    )

"""Systems Manager: Run Command on real machines and what the agents report. Owns the API, not the execution."""

import json
import threading
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ssm.exceptions import SSMException
from moto.ssm.models import SimpleSystemManagerBackend
from moto.ssm.responses import SimpleSystemManagerResponse

from lab.aws import ssm_document
from lab.aws.patches import Patches
from lab.aws.run_command import Agent, Invocation
from lab.aws.state import AccountState, Computer, utc_now
from lab.aws.status_checks import ping_status

DEFAULT_DELIVERY_SECONDS = 3600
MINIMUM_DELIVERY_SECONDS = 30


class RunCommand:
    """All commands of the account.

    Real: delivered to agents that poll. moto: runs nothing, Success at once, accepts unknown documents, parameters and
    instances. Here: checked as the API does, then one Agent thread for each instance.
    """

    def __init__(self, state: AccountState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._commands: dict[str, list[Invocation]] = {}
        self._parameters: dict[str, dict[str, list[str]]] = {}

    def send(self, backend: SimpleSystemManagerBackend, request: dict[str, Any]) -> dict[str, Any]:
        return self.describe(self.begin(backend, request)[0].command_id)

    def begin(self, backend: SimpleSystemManagerBackend, request: dict[str, Any]) -> list[Invocation]:
        name = (request.get("DocumentName") or "").rsplit("document/", 1)[-1]
        given = request.get("Parameters") or {}
        document = self._document(backend, name, request.get("DocumentVersion") or "$DEFAULT")
        values = self._values(document, given)
        instance_ids = request.get("InstanceIds") or []
        if not instance_ids:
            raise SSMException("InvalidTarget", "The lab sends commands to InstanceIds only, not to Targets")
        computers = [self._computer(instance_id) for instance_id in instance_ids]
        seconds = int(request.get("TimeoutSeconds") or DEFAULT_DELIVERY_SECONDS)
        if seconds < MINIMUM_DELIVERY_SECONDS:
            raise SSMException("ValidationException", f"timeoutSeconds {seconds} is less than 30")
        invocations: list[Invocation] = []
        for computer in computers:
            step = ssm_document.prepare(document.content_json, values, computer.agent_version)
            invocation = Invocation(
                instance_id=computer.instance_id,
                document_name=name,
                document_version=document.document_version,
                comment=request.get("Comment") or "",
                step_name=step.name,
                delivery_seconds=seconds,
            )
            if invocations:
                invocation.command_id = invocations[0].command_id
            invocations.append(invocation)
            self._state.spawn(f"run {name}", Agent(self._state, computer, invocation, step).run)
        with self._lock:
            self._commands[invocations[0].command_id] = invocations
            self._parameters[invocations[0].command_id] = given
        return invocations

    def find(self, command_id: str, instance_id: str) -> Invocation:
        with self._lock:
            invocations = self._commands.get(command_id, [])
        for invocation in invocations:
            # Real: the invocation becomes visible a moment after SendCommand returned.
            age = (utc_now() - invocation.requested).total_seconds()
            if invocation.instance_id == instance_id and age >= self._state.clock.settle_seconds:
                return invocation
        raise SSMException("InvocationDoesNotExist", "")

    def select(self, *, command_id: str | None, instance_id: str | None) -> list[Invocation]:
        with self._lock:
            everything = [invocation for command in self._commands.values() for invocation in command]
        return [
            invocation
            for invocation in everything
            if command_id in (None, invocation.command_id) and instance_id in (None, invocation.instance_id)
        ]

    def cancel(self, command_id: str) -> None:
        """Real: best effort; a script that runs is ended. Here: it ends by itself and is then called Cancelled."""
        if command_id not in self._commands:
            raise SSMException("InvalidCommandId", "")
        for invocation in self._commands[command_id]:
            invocation.is_cancelled = True

    def describe(self, command_id: str) -> dict[str, Any]:
        invocations = self._commands[command_id]
        first = invocations[0]
        status = "InProgress" if any(not i.is_final for i in invocations) else first.status
        return {
            "CommandId": command_id,
            "Comment": first.comment,
            "DocumentName": first.document_name,
            "InstanceIds": [i.instance_id for i in invocations],
            "Parameters": self._parameters[command_id],
            "RequestedDateTime": first.requested,
            "Status": "Pending" if all(i.status == "Pending" for i in invocations) else status,
            "StatusDetails": first.status_details,
            "TargetCount": len(invocations),
            "CompletedCount": sum(i.is_final for i in invocations),
            "TimeoutSeconds": int(first.delivery_seconds),
        }

    def _document(self, backend: SimpleSystemManagerBackend, name: str, version: str) -> Any:
        if name not in backend._documents:
            raise SSMException("InvalidDocument", f"Document {name} does not exist in your account")
        versions = backend._documents[name]
        named = {"$DEFAULT": versions.default_version, "$LATEST": versions.latest_version}
        document = versions.find_by_version(named.get(version, version))
        if document is None:
            raise SSMException("InvalidDocumentVersion", f"{name} has no version {version}")
        ssm_document.check_document(document.content_json)
        return document

    def _values(self, document: Any, given: dict[str, list[str]]) -> dict[str, str]:
        try:
            values = ssm_document.resolve(document.content_json, given)
        except ssm_document.InvalidParameters as error:
            raise SSMException("InvalidParameters", str(error)) from error
        if ssm_document.size_bytes(document.content, values) > ssm_document.MAXIMUM_DOCUMENT_BYTES:
            raise SSMException("MaxDocumentSizeExceeded", "document and parameters are larger than 64 KB")
        return values

    def _computer(self, instance_id: str) -> Computer:
        """A hung instance is accepted, as on AWS; one that never registered or does not run is not."""
        computer = self._state.computers.get(instance_id)
        is_valid = computer is not None and computer.in_ssm
        if is_valid:
            is_valid = self._state.backend("ec2").get_instance(instance_id).state == "running"
        if computer is None or not is_valid:
            raise SSMException(
                "InvalidInstanceId",
                f"Instances [[{instance_id}]] not in a valid state for account {self._state.account_id}",
            )
        return computer


def install(patches: Patches, state: AccountState) -> RunCommand:
    commands = RunCommand(state)

    def send_command(response: SimpleSystemManagerResponse) -> ActionResult:
        return ActionResult({"Command": commands.send(response.ssm_backend, json.loads(response.body))})

    def get_command_invocation(response: SimpleSystemManagerResponse) -> ActionResult:
        invocation = commands.find(response._get_param("CommandId"), response._get_param("InstanceId"))
        plugin = response._get_param("PluginName")
        if plugin not in (None, invocation.step_name):
            raise SSMException("InvalidPluginName", "")
        return ActionResult(invocation.response())

    def list_commands(response: SimpleSystemManagerResponse) -> ActionResult:
        found = commands.select(
            command_id=response._get_param("CommandId"), instance_id=response._get_param("InstanceId")
        )
        ids = dict.fromkeys(invocation.command_id for invocation in found)
        return ActionResult({"Commands": [commands.describe(command_id) for command_id in ids]})

    def list_command_invocations(response: SimpleSystemManagerResponse) -> ActionResult:
        found = commands.select(
            command_id=response._get_param("CommandId"), instance_id=response._get_param("InstanceId")
        )
        return ActionResult({"CommandInvocations": [_listed(invocation) for invocation in found]})

    def cancel_command(response: SimpleSystemManagerResponse) -> EmptyResult:
        commands.cancel(response._get_param("CommandId"))
        return EmptyResult()

    for name, function in (
        ("send_command", send_command),
        ("get_command_invocation", get_command_invocation),
        ("list_commands", list_commands),
    ):
        patches.replace(SimpleSystemManagerResponse, name, _always(function))
    patches.add(SimpleSystemManagerResponse, "list_command_invocations", list_command_invocations)
    patches.add(SimpleSystemManagerResponse, "cancel_command", cancel_command)
    _install_instance_information(patches, state)
    return commands


def _always(function: Any) -> Any:
    return lambda _original: function


def _listed(invocation: Invocation) -> dict[str, Any]:
    return {
        "CommandId": invocation.command_id,
        "InstanceId": invocation.instance_id,
        "Comment": invocation.comment,
        "DocumentName": invocation.document_name,
        "RequestedDateTime": invocation.requested,
        "Status": invocation.status,
        "StatusDetails": invocation.status_details,
    }


def _install_instance_information(patches: Patches, state: AccountState) -> None:
    """Real: what agents reported, minutes old by nature. moto: not implemented. Here: from status_checks.py."""

    def describe_instance_information(response: SimpleSystemManagerResponse) -> ActionResult:
        filters = _filters(response)
        known = [each for each in list(state.computers.values()) if each.in_ssm and each.last_ping]
        found = [each for each in known if all(_fits(state, each, key, values) for key, values in filters)]
        return ActionResult({"InstanceInformationList": [_information(state, each) for each in found]})

    patches.add(SimpleSystemManagerResponse, "describe_instance_information", describe_instance_information)


def _filters(response: SimpleSystemManagerResponse) -> list[tuple[str, list[str]]]:
    filters = [(f.get("Key"), f.get("Values")) for f in response._get_param("Filters", [])]
    return filters + [
        (f.get("key"), f.get("valueSet")) for f in response._get_param("InstanceInformationFilterList", [])
    ]


def _fits(state: AccountState, computer: Computer, key: str, values: list[str]) -> bool:
    if key == "InstanceIds":
        return computer.instance_id in values
    if key == "AssociationStatus":
        return computer.association_status in values
    if key == "PingStatus":
        return ping_status(state, computer) in values
    if key.startswith("tag:"):
        tags = {
            tag["key"]: tag["value"]
            for tag in state.backend("ec2").describe_tags({"resource-id": [computer.instance_id]})
        }
        return tags.get(key.removeprefix("tag:")) in values
    raise SSMException("InvalidInstanceInformationFilterValue", f"the lab does not filter by {key}")


def _information(state: AccountState, computer: Computer) -> dict[str, Any]:
    return {
        "InstanceId": computer.instance_id,
        "PingStatus": ping_status(state, computer),
        "LastPingDateTime": computer.last_ping,
        "AgentVersion": computer.agent_version,
        "IsLatestVersion": True,
        "PlatformType": computer.platform_type,
        "PlatformName": computer.platform_name,
        "PlatformVersion": computer.platform_version,
        "ResourceType": "EC2Instance",
        "ComputerName": computer.instance_id,
        **({"AssociationStatus": computer.association_status} if computer.association_status else {}),
    }

"""One command on one machine, from delivery to result, as the SSM agent does it. Owns statuses, not the API."""

import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lab.aws.ssm_document import Step
from lab.aws.state import AccountState, Computer, utc_now
from lab.aws.status_checks import ping_status
from lab.machines.machine import CannotExecute, Completed, MachineUnreachable

STDOUT_CHARACTERS = 24_000
STDERR_CHARACTERS = 8_000
# The agent's own suffix (from memory), inside the limit
TRUNCATED = "--output truncated--"
REBOOT_EXIT_CODE = 194
# The agent resumes a document after any reboot, up to this often; its CommandRetryLimit is 15.
MAXIMUM_RUNS = 15
_DELIVERY_POLL_SECONDS = 1.0
FINAL = {"Success", "Failed", "TimedOut", "Cancelled"}


@dataclass
class Invocation:
    """What GetCommandInvocation tells."""

    instance_id: str
    document_name: str
    document_version: str
    comment: str
    step_name: str
    delivery_seconds: float
    command_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    requested: datetime = field(default_factory=utc_now)
    status: str = "Pending"
    status_details: str = "Pending"
    response_code: int = -1
    stdout: str = ""
    stderr: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    is_cancelled: bool = False

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    def end(self, status: str, details: str, code: int) -> None:
        # Results before status: a poller that sees Success must see the output too.
        self.ended, self.response_code, self.status_details = utc_now(), code, details
        self.status = status

    def response(self) -> dict[str, Any]:
        elapsed = ((self.ended or utc_now()) - self.started).total_seconds() if self.started else 0.0
        return {
            "CommandId": self.command_id,
            "InstanceId": self.instance_id,
            "Comment": self.comment,
            "DocumentName": self.document_name,
            "DocumentVersion": self.document_version,
            "PluginName": self.step_name,
            "ResponseCode": self.response_code,
            "ExecutionStartDateTime": self.started.isoformat() if self.started else "",
            "ExecutionElapsedTime": f"PT{elapsed:.3f}S" if self.started else "",
            "ExecutionEndDateTime": self.ended.isoformat() if self.ended else "",
            "Status": self.status,
            "StatusDetails": self.status_details,
            "StandardOutputContent": self.stdout,
            "StandardOutputUrl": "",
            "StandardErrorContent": self.stderr,
            "StandardErrorUrl": "",
        }


class Agent:
    """Carries one invocation through; its `run` is the body of a thread."""

    def __init__(self, state: AccountState, computer: Computer, invocation: Invocation, step: Step) -> None:
        self._state = state
        self._computer = computer
        self._invocation = invocation
        self._step = step

    def run(self) -> None:
        invocation = self._invocation
        if self._deliver():
            self._execute()
        if invocation.is_final:
            elapsed = (invocation.ended or utc_now()) - invocation.requested
            self._emit(f"{invocation.status_details} after {elapsed.total_seconds():.1f} s")

    def _deliver(self) -> bool:
        """Wait for the agent to fetch the command; a hung machine may reboot in time and then does."""
        invocation = self._invocation
        deadline = time.monotonic() + invocation.delivery_seconds
        while not self._computer.machine.answers(_DELIVERY_POLL_SECONDS):
            if invocation.is_cancelled:
                invocation.end("Cancelled", "Cancelled", -1)
            elif time.monotonic() >= deadline:
                self._not_delivered()
            if invocation.is_final or not self._state.pause(0.1):
                return False
        if invocation.is_cancelled:
            invocation.end("Cancelled", "Cancelled", -1)
            return False
        invocation.started = utc_now()
        invocation.status = invocation.status_details = "InProgress"
        self._emit("started")
        return True

    def _not_delivered(self) -> None:
        """The API's Undeliverable is a Failed, its DeliveryTimedOut a TimedOut: both are only StatusDetails."""
        if ping_status(self._state, self._computer) == "ConnectionLost":
            self._invocation.end("Failed", "Undeliverable", -1)
        else:
            self._invocation.end("TimedOut", "DeliveryTimedOut", -1)

    def _execute(self) -> None:
        deadline = time.monotonic() + self._step.timeout_seconds
        environment = {
            "AWS_SSM_INSTANCE_ID": self._invocation.instance_id,
            "AWS_SSM_REGION_NAME": self._state.region,
            **self._step.environment,
        }
        for _ in range(MAXIMUM_RUNS):
            remaining = deadline - time.monotonic()
            if remaining <= 0 or self._state.closing.is_set():
                break
            try:
                completed = self._computer.machine.run(
                    self._step.script, environment=environment, timeout_seconds=remaining
                )
            except MachineUnreachable:
                # Inferred: the machine went away under the script; a restarted agent runs the document from its top.
                self._emit("the machine went away; runs again when it is back")
                self._wait_for_machine(deadline)
                continue
            except TimeoutError:
                break
            except CannotExecute as error:
                # Inferred: like a script that cannot be run.
                completed = Completed(1, "", f"{error}\n")
            if completed.exit_code != REBOOT_EXIT_CODE:
                self._conclude(completed)
                return
            self._emit("exit 194: reboots, then runs again")
            self._computer.machine.reboot()
            self._wait_for_machine(deadline)
        if not self._state.closing.is_set():
            self._invocation.end("TimedOut", "ExecutionTimedOut", -1)

    def _wait_for_machine(self, deadline: float) -> None:
        while time.monotonic() < deadline and self._state.pause(0.1):
            if self._computer.machine.answers(_DELIVERY_POLL_SECONDS):
                return

    def _conclude(self, completed: Completed) -> None:
        invocation, succeeded = self._invocation, completed.exit_code == 0
        stderr = completed.stderr
        if not succeeded:
            stderr += f"failed to run commands: exit status {completed.exit_code}"
        invocation.stdout = _cut(completed.stdout, STDOUT_CHARACTERS)
        invocation.stderr = _cut(stderr, STDERR_CHARACTERS)
        status = "Success" if succeeded else "Failed"
        if invocation.is_cancelled:
            status = "Cancelled"
        invocation.end(status, status, completed.exit_code)

    def _emit(self, text: str) -> None:
        self._state.events.emit("ssm", self._invocation.instance_id, f"{self._invocation.document_name}: {text}")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - len(TRUNCATED)] + TRUNCATED

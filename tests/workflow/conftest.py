"""The synthesized stack in the account on loopback, and hosts on which the real upload_vmcore and analyze_vmcore run.

For what the simulator cannot show: documents, functions in processes of their own, real time, real S3 requests.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.aws.launches import Launch
from lab.deployment import LAB_SETTINGS, Deployment, deploy_hangdump, is_online
from lab.guest.deadline import wait_until
from lab.machines.scripted_machine import ScriptedMachine
from tests.conftest import synthesize_once
from tests.workflow.simulated_host import SimulatedHost, put_curl_that_reaches

STUBS = Path(__file__).resolve().parents[1] / "ssm_documents" / "stubs" / "any"
# Bounds for a test, not measurements.
EXECUTION_SECONDS = 240

SETTINGS = {
    "pollSeconds": 1,
    "probeTimeoutSeconds": 10,
    "dumpTimeoutSeconds": 60,
    "dumpLimitSeconds": 120,
    "dumpStallSeconds": 60,
    # Each test hangs an instance of the same fleet.
    "fleetBudget": 1000,
    "zoneBudget": 1000,
    "groupBudget": 1000,
}


class Stack(Deployment):
    """Its executions take real time; collectors are simulated hosts too."""

    def __init__(self, account: LabAccount, outputs: dict[str, str]) -> None:
        super().__init__(account, outputs)
        account.launch_with(self._launch)

    def _launch(self, _launch: Launch) -> ScriptedMachine:
        return SimulatedHost.launched().machine

    def add(self, host: SimulatedHost, **tags: str) -> str:
        """An instance that Systems Manager knows; its ID."""
        instance_id = self.account.add_instance(host.machine, tags=tags)
        self.account.check_status_now(instance_id)
        self.wait_until_online(instance_id)
        return instance_id

    def add_ready(self, host: SimulatedHost) -> str:
        """An enrolled instance that ProvisionDumpVolume made ready."""
        instance_id = self.add(host, **{"hangdump:enrolled": "true"})
        ended = self.run("ProvisionDumpVolume", instanceId=instance_id)
        assert ended["output"]["status"] == "ready", ended
        return instance_id

    def run(self, state_machine: str, **execution_input: Any) -> dict[str, Any]:
        """Start an execution and wait for its end; DescribeExecution's answer."""
        execution = self.account.start_execution(state_machine, execution_input)
        return self.account.wait_for_execution(execution, timeout_seconds=EXECUTION_SECONDS)

    def collection_of(self, instance_id: str) -> str:
        """Waits until an alarm has started CollectVmcore for an instance; the execution's ARN. Raises TimeoutError with
        what was decided instead."""
        states = self.account.client("stepfunctions")

        def find() -> str:
            listed = states.list_executions(stateMachineArn=self.outputs["CollectVmcoreArn"])["executions"]
            return next((each["executionArn"] for each in listed if each["name"].endswith(instance_id)), "")

        try:
            return wait_until(find, what="CollectVmcore starts", timeout_seconds=60)
        except TimeoutError as error:
            lines = [line for written in list(self.account.logs.values()) for line in list(written)]
            decided = [line for line in lines if (instance_id in line and "Decision" in line) or "ERROR" in line]
            raise TimeoutError(f"{error}; {len(lines)} lines, the last decisions: {decided[-4:]}") from error

    def wait_until_online(self, instance_id: str) -> None:
        """Until Systems Manager has heard of it; raises TimeoutError."""
        what = f"{instance_id} is Online"
        wait_until(lambda: is_online(self.account, instance_id), what=what, timeout_seconds=60)


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """In an account whose slow periods are shrunk to a fiftieth."""
    bin_directory: Path = tmp_path_factory.mktemp("bin")
    with pytest.MonkeyPatch.context() as patch, LabAccount(time_scale=0.02) as account:
        put_curl_that_reaches(account.instance_port, bin_directory)
        # The documents run on this machine: analyze_vmcore must neither add a user to it nor end anything.
        for tool in ("id", "install", "pkill", "setpriv", "useradd"):
            shutil.copy(STUBS / tool, bin_directory / tool)
        patch.setenv("PATH", f"{bin_directory}:{os.environ['PATH']}")
        outputs = deploy_hangdump(
            account, lambda: synthesize_once(tmp_path_factory, "lab.out", {**LAB_SETTINGS, **SETTINGS})
        )
        yield Stack(account, outputs)
        denied = [f"{event.subject}: {event.text}" for event in account.events.matching("iam")]
        assert not denied, denied


@pytest.fixture
def host() -> SimulatedHost:
    """A running Debian host."""
    return SimulatedHost()

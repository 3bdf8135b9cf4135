"""How long the gate takes from the alarm's event to the interrupt, without the probe's wait, and how long it imports.

All handlers are functions of the same emulated account, in a process each, and take turns. The account answers each
call 20 ms after it came, and calls that come together side by side; what it takes longer for is its own work, in one
Python process on the same processors.
"""

import io
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from analysis.command_line import UserError
from bench.peers import plot
from lab.aws.account import LabAccount
from lab.deployment import deploy_hangdump, synthesize_for_lab
from lab.machines.scripted_machine import ScriptedMachine

GATE, BARE, FEWER, SHORTEST = "hangdump", "bare", "fewer-checks", "shortest"
CHECKS = {BARE: "all", FEWER: "few", SHORTEST: "status"}
RESPOND = "Hangdump-respond_to_hang"
# It is subtracted; the settings' minimum, 10 s, would only make the bench slower.
PROBE_SECONDS = 1
# Of each call; assumed, not measured.
ANSWER_SECONDS = 0.02
SETTINGS = {"fleetBudget": 1000, "zoneBudget": 1000}
IMPORTS = {GATE: "lambdas.handlers.respond_to_hang", BARE: "boto3"}
_TIMED_IMPORT = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


class NotInterrupted(UserError):
    """A handler refused, so that there is nothing to measure."""


class _SoonDeaf(ScriptedMachine):
    """EC2 waits five seconds for the answer of a hung machine; here that is no part of what is measured."""

    def answers_arp(self, timeout_seconds: float) -> bool:
        return super().answers_arp(min(timeout_seconds, 0.1))


@contextmanager
def _account() -> Iterator[LabAccount]:
    with (
        tempfile.TemporaryDirectory(prefix="hangdump-bench-") as scratch,
        LabAccount(answer_seconds=ANSWER_SECONDS) as account,
    ):
        deploy_hangdump(account, lambda: synthesize_for_lab(Path(scratch) / "cdk.out", SETTINGS))
        client = account.client("lambda")
        deployed = client.get_function(FunctionName=RESPOND)["Configuration"]
        made = account.client("iam").create_role(RoleName="Bench", AssumeRolePolicyDocument="{}")
        administrator = made["Role"]["Arn"]
        _allow(account, administrator, "*", on="*")
        # CollectVmcore would search for a dump and disturb the next measurement.
        nothing = account.client("stepfunctions").create_state_machine(
            name="CollectNothing",
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn=administrator,
        )["stateMachineArn"]
        _allow(account, deployed["Role"], "states:StartExecution", on=nothing)
        # A wait as well, which an alarm has mostly done by the time that it comes.
        changed = {"PROBE_TIMEOUT_SECONDS": str(PROBE_SECONDS), "IMPAIRED_SECONDS": "0", "COLLECT_VMCORE_ARN": nothing}
        variables = deployed["Environment"]["Variables"] | changed
        client.update_function_configuration(FunctionName=RESPOND, Environment={"Variables": variables})
        for name, checks in CHECKS.items():
            own = {key: variables[key] for key in ("TABLE_NAME", "PROBE_DOCUMENT", "KILL_SWITCH_PARAMETER")}
            own |= {"PROBE_TIMEOUT_SECONDS": str(PROBE_SECONDS), "CHECKS": checks}
            client.create_function(
                FunctionName=name,
                Runtime="python3.13",
                Role=administrator,
                Handler="bare_gate.handler",
                Code={"ZipFile": _bundle(Path(__file__).with_name("bare_gate.py"))},
                Environment={"Variables": own},
                Timeout=120,
            )
        yield account


def _allow(account: LabAccount, role: str, action: str, *, on: str) -> None:
    policy = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": on}}
    name = role.rpartition("/")[2]
    account.client("iam").put_role_policy(RoleName=name, PolicyName="Bench", PolicyDocument=json.dumps(policy))


def _bundle(module: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.write(module, module.name)
    return buffer.getvalue()


def _interrupt(account: LabAccount, function: str) -> float:
    """Seconds from the event to the NMI of an instance of its own, without the probe's wait."""
    interrupted: list[float] = []
    machine = _SoonDeaf(on_nmi=lambda _: interrupted.append(time.perf_counter()))
    instance_id = account.add_instance(machine, instance_type="m5.large", tags={"hangdump:enrolled": "true"})
    # Tagged ready after its launch; otherwise the gate refuses.
    now = datetime.now(UTC)
    ready = {"Key": "hangdump:ready", "Value": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    account.client("ec2").create_tags(Resources=[instance_id], Tags=[ready])
    account.check_status_now(instance_id)
    machine.hang()
    account.check_status_now(instance_id)
    began = time.perf_counter()
    answer = account.invoke(function, _event(account, instance_id, now))
    account.client("ec2").terminate_instances(InstanceIds=[instance_id])
    if not interrupted:
        raise NotInterrupted(f"{function}: {answer}")
    return interrupted[0] - began - PROBE_SECONDS


def _event(account: LabAccount, instance_id: str, now: datetime) -> dict[str, Any]:
    """The event with which a CloudWatch alarm on the instance check invokes a function."""
    name, at = f"hangdump-{instance_id}", f"{now:%Y-%m-%dT%H:%M:%S}.000+0000"
    metric = {"namespace": "AWS/EC2", "name": "StatusCheckFailed_Instance", "dimensions": {"InstanceId": instance_id}}
    return {
        "source": "aws.cloudwatch",
        "alarmArn": f"arn:aws:cloudwatch:{account.region}:{account.account_id}:alarm:{name}",
        "accountId": account.account_id,
        "time": at,
        "region": account.region,
        "alarmData": {
            "alarmName": name,
            "state": {"value": "ALARM", "reason": "threshold crossed", "timestamp": at},
            "previousState": {"value": "OK"},
            "configuration": {"metrics": [{"id": "m1", "metricStat": {"metric": metric}, "returnData": True}]},
        },
    }


def _import_seconds(module: str) -> float:
    """The import's seconds in a fresh Python with compiled modules."""
    code = _TIMED_IMPORT.format(module)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def measure(results: Path, *, runs: int | None) -> None:
    """Writes gate.json, one row a handler: the first event of a fresh process, the median of `runs` (9) warm ones."""
    seconds: dict[str, list[float]] = {name: [] for name in (GATE, *CHECKS)}
    with _account() as account:
        for number in range((runs or 9) + 1):
            for name, taken in seconds.items():
                taken.append(_interrupt(account, RESPOND if name == GATE else name))
            told = ", ".join(f"{name} {taken[-1]:.3f} s" for name, taken in seconds.items())
            print(f"event {number}: {told}", file=sys.stderr, flush=True)
    imports = {name: [_import_seconds(module) for _ in range(runs or 9)] for name, module in IMPORTS.items()}
    bare = median(seconds[BARE][1:])
    rows = [
        {
            "handler": name,
            "first_event_seconds": round(taken[0], 3),
            "event_to_interrupt_seconds": round(median(taken[1:]), 3),
            "fastest_seconds": round(min(taken[1:]), 3),
            "ratio_to_bare": round(median(taken[1:]) / bare, 2),
            "import_seconds": round(median(imports[name if name == GATE else BARE]), 3),
        }
        for name, taken in seconds.items()
    ]
    for row in rows:
        print(json.dumps(row), flush=True)
    file = results / "gate.json"
    file.write_text(json.dumps(rows, indent=1) + "\n")
    plot("gate", file)

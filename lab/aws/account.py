"""An AWS account on loopback whose instances are machines: starts it, deploys into it, stops it.

Owns the life cycle and the public surface; each service is in lab/aws/<service>.py, where its docstrings say what is
real, what moto does and what is emulated.
"""

import logging
import shutil
import socket
import tempfile
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config
from moto import mock_aws

from lab.aws import (
    autoscaling,
    cloudformation,
    cloudwatch,
    dynamodb,
    dynamodb_streams,
    ebs,
    ec2,
    eventbridge,
    executions,
    hypervisor_metrics,
    lambda_,
    launches,
    metric_data,
    s3,
    schedules,
    service_quotas,
    snapshots,
    sns,
    ssm,
    state_manager,
    status_checks,
    stepfunctions,
    sts,
    tag_events,
)
from lab.aws.event_log import EventStream
from lab.aws.iam import in_process, simulation
from lab.aws.iam.enforcement import Permissions
from lab.aws.lambda_pool import LambdaPool
from lab.aws.patches import Patches
from lab.aws.server import Servers
from lab.aws.state import AccountState, Clock, Computer
from lab.machines.machine import Machine

DEFAULT_REGION = "eu-central-1"
_CLIENT_KEY = "AKIALABCLIENT"
_CLIENT_SECRET = "lab-client-secret"  # noqa: S105 - opens nothing but the account on loopback
_one_at_a_time = threading.Lock()


class LabAccount:
    """`with LabAccount() as account:` - one at a time in a process, since moto is global."""

    def __init__(
        self,
        *,
        region: str = DEFAULT_REGION,
        time_scale: float = 0.1,
        settle_seconds: float = 0.4,
        answer_seconds: float = 0.0,
    ) -> None:
        """`answer_seconds`: how long each answer takes at least."""
        self._answer_seconds = answer_seconds
        self._state = AccountState(region=region, clock=Clock(time_scale, settle_seconds))
        self._patches = Patches()
        self._mock = mock_aws(
            config={"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}
        )

    # -- life cycle

    def __enter__(self) -> Self:
        if not _one_at_a_time.acquire(blocking=False):
            raise RuntimeError("there is a LabAccount in this process already; leave it first")
        self._mock.start()
        self._directory = Path(tempfile.mkdtemp(prefix="lab-account-"))
        self._pool = LambdaPool(self._state, self._directory)
        # The interpreter logs every failed task at length; the execution's history says the same.
        logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
        self._install()
        self._servers = Servers(self._state, answer_seconds=self._answer_seconds)
        self._servers.start()
        self._state.endpoint_url = self._servers.endpoint_url
        self._state.secrets[_CLIENT_KEY] = _CLIENT_SECRET
        self._xray = _udp_sink()
        self._state.xray_address = f"127.0.0.1:{self._xray.getsockname()[1]}"
        self._state.spawn("alarms", cloudwatch.evaluate_until_closed, self._state)
        self._state.spawn("schedules", schedules.fire_until_closed, self._state)
        self._state.spawn("hypervisor metrics", hypervisor_metrics.post_until_closed, self._state)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state.closing.set()
        executions.stop_all(self._state)
        self._pool.close()
        self._servers.stop()
        left = self._state.join(timeout_seconds=10.0)
        if left:
            logging.getLogger("lab.aws").warning("threads that did not end with the account: %s", left)
        self._xray.close()
        self._patches.undo()
        self._mock.stop()
        shutil.rmtree(self._directory, ignore_errors=True)
        _one_at_a_time.release()

    def _install(self) -> None:
        state, patches = self._state, self._patches
        self._functions = lambda_.Functions(state, self._pool)
        self._bus = bus = eventbridge.EventBridge(state)
        self._outbox = sns.install(patches, state)
        publish, invoke = self._outbox.publish, self._functions.call_as
        self._power = ec2.Power(state, bus.notify)
        ec2.install(patches, state, self._power)
        ebs.install(patches, state)
        snapshots.install(patches, state)
        self._launches = launches.Launches(state, self._power)
        self._launches.install(patches)
        autoscaling.install(patches, state)
        self._commands = ssm.install(patches, state)
        self._state_manager = state_manager.StateManager(state, self._commands, bus.notify)
        state_manager.install(patches, self._state_manager)
        cloudwatch.install(patches, state, invoke=invoke, publish=publish, notify=bus.notify)
        metric_data.install(patches)
        dynamodb.install(patches)
        dynamodb_streams.Streams(state, self._functions).install(patches)
        lambda_.install(patches, self._functions, publish=publish)
        eventbridge.install(patches, invoke=invoke, publish=publish, start=self._start_as)
        tag_events.install(patches, state, bus.notify)
        schedules.install(patches)
        s3.install(patches, state)
        service_quotas.install(patches, state)
        simulation.install(patches, state)
        sts.install(patches, state)
        stepfunctions.install(patches, state)
        cloudformation.install(patches)
        self.permissions = state.permissions = Permissions(state)
        in_process.install(patches, state, self._context)

    def _start_as(self, machine_arn: str, execution_input: Mapping[str, Any], role_arn: str) -> None:
        executions.start_as(self._state, role_arn, machine_arn, execution_input)

    def _context(self) -> in_process.Context:
        return in_process.context_of_thread()

    # -- what users of the lab need

    @property
    def events(self) -> EventStream:
        return self._state.events

    @property
    def endpoint_url(self) -> str:
        """The whole account; for functions, clients and the demo. Never for a guest."""
        return self._state.endpoint_url

    @property
    def instance_port(self) -> int:
        """Port on 127.0.0.1 for a guest's 10.0.2.100:80: takes presigned S3 requests and nothing else."""
        return self._servers.instance_port

    @property
    def region(self) -> str:
        return self._state.region

    def deliver_alarms(self, *, times: int) -> None:
        """How often each alarm's event reaches a function, at the same moment; AWS promises at least once."""
        self._state.alarm_deliveries = times

    @property
    def account_id(self) -> str:
        return self._state.account_id

    @property
    def logs(self) -> dict[str, list[str]]:
        """What each function wrote, by function name."""
        return self._state.logs

    @property
    def notifications(self) -> list[sns.Notification]:
        return self._outbox.notifications

    def client(self, service: str, config: Config | None = None) -> Any:
        """A boto3 client over HTTP, as a user's. Errors come at once: no retries."""
        base = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return boto3.client(  # type: ignore[call-overload]
            service,
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=_CLIENT_KEY,
            aws_secret_access_key=_CLIENT_SECRET,
            config=base.merge(config) if config else base,
        )

    def deploy(self, template: dict[str, Any], assembly_dir: Path, *, stack_name: str = "Hangdump") -> dict[str, str]:
        """Create or update the stack from a cloud assembly as `cdk deploy` would; gives its outputs.

        Raises UnsupportedResource, naming it, for anything the lab cannot deploy faithfully; RolledBack.
        """
        return cloudformation.deploy(self._state, template, assembly_dir, stack_name, notify=self._bus.notify)

    def apply_associations(self) -> None:
        """State Manager runs its associations, each on every instance with its tag, as it does when they are due."""
        self._state_manager.apply()

    def destroy(self, *, stack_name: str = "Hangdump") -> None:
        """Remove the stack as `cdk destroy` would."""
        cloudformation.destroy(self._state, stack_name)

    def add_instance(
        self,
        machine: Machine,
        *,
        instance_type: str = "t3.micro",
        architecture: str = "x86_64",
        tags: Mapping[str, str] = MappingProxyType({}),
        in_ssm: bool = True,
        launched_at: datetime | None = None,
        **observed: str,
    ) -> str:
        """A running instance behind which is `machine`; `observed` are fields of Computer such as platform_type.

        `launched_at` is for a machine that has run for a while; None: now.
        """
        ec2_client = boto3.client("ec2", region_name=self.region)
        image = ec2_client.register_image(
            Name=f"lab-{architecture}-{len(self._state.computers)}",
            Architecture=architecture,  # type: ignore[arg-type]
            RootDeviceName="/dev/sda1",
        )
        specification: Any = {"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
        with self._launches.by_hand():
            reservation = ec2_client.run_instances(
                ImageId=image["ImageId"],
                InstanceType=instance_type,  # type: ignore[arg-type]
                MinCount=1,
                MaxCount=1,
                TagSpecifications=[specification] if tags else [],
            )
        # moto forgets what was registered with the image.
        self._state.backend("ec2").amis[image["ImageId"]].architecture = architecture
        instance_id = reservation["Instances"][0]["InstanceId"]
        instance = self._state.backend("ec2").get_instance(instance_id)
        instance.architecture = architecture
        if launched_at is not None:
            # moto's times have no zone.
            instance.launch_time = launched_at.astimezone(UTC).replace(tzinfo=None)
        computer = Computer(instance_id, machine, in_ssm=in_ssm, **observed)  # type: ignore[arg-type]
        if computer.platform_type == "Windows":
            instance.platform = "windows"
        self._state.computers[instance_id] = computer
        self._state.spawn(f"watch {instance_id}", status_checks.watch, self._state, computer, self._power)
        return instance_id

    def launch_with(self, launcher: launches.Launcher | None) -> None:
        """What makes the machine of an instance that RunInstances launches; None: such instances stay mere records."""
        self._launches.launcher = launcher

    def refuse(self, action: str, code: str) -> None:
        """RunInstances, CreateVolume and CreateSnapshot answer with this error code from now on; "" takes it back."""
        self._state.refusals[action] = code

    def break_snapshots(self, *, are_broken: bool) -> None:
        """Snapshots begun from now on go to `error`."""
        self._state.snapshots_break = are_broken

    def computer(self, instance_id: str) -> Computer:
        """What AWS has observed; tests set `system_check` and `attached_ebs_check` here."""
        return self._state.computers[instance_id]

    def replace_unhealthy_instances(self) -> list[str]:
        """One health check of every Auto Scaling group; the ids of the instances that their groups terminated."""
        return autoscaling.replace_unhealthy(self._state)

    def check_status_now(self, instance_id: str) -> None:
        """One status check at once instead of at the next minute."""
        status_checks.check_once(self._state, self._state.computers[instance_id], self._power)

    def stretch_past(self, instance_id: str) -> None:
        """Undo `time_scale` for what was observed of an instance until now: checks, pings and metrics.

        Its past is then as long as AWS's periods make it. Once for an instance, before its hang is judged by AWS's
        minutes; new observations are not stretched.
        """
        status_checks.stretch_past(self._state, self._state.computers[instance_id])

    def start_execution(
        self, state_machine: str, execution_input: Mapping[str, Any], *, name: str | None = None
    ) -> str:
        """Start a state machine by its name; gives the execution's ARN."""
        return executions.start(self._state, state_machine, execution_input, name)

    def wait_for_execution(self, execution_arn: str, *, timeout_seconds: float) -> dict[str, Any]:
        """Poll until it has ended; gives DescribeExecution's answer, TimeoutError with the last states otherwise."""
        return executions.wait(self._state, execution_arn, timeout_seconds)

    def invoke(self, function_name: str, event: Any) -> Any:
        """Invoke a function synchronously; raises FunctionFailed with its error."""
        return self._functions.call_and_parse(function_name, event)


def _udp_sink() -> socket.socket:
    """Where the X-Ray SDK sends its segments: nobody reads them."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    return sink

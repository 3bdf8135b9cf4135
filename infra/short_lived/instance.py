"""An instance that lives for one job: launched, waited for until commands reach it, ended by whoever launched it.

A rescue reads a copy of a dump volume with it; an analysis launches a twin of the incident's instance, and a drill one
to crash it. Owns its profile and the states up to Online; not what it is for, nor its end (removal.py). It also ends
itself: `shutdown` from its user data terminates it, should nobody else come to do so.
"""

import base64
from dataclasses import dataclass
from typing import Any, Self

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation.acknowledgements import acknowledge
from infra.settings import Settings
from infra.states.poll import Poll, polling
from infra.states.tasks import ApiCall, ClosedFragment, name_error, task
from lambdas.runtime.errors import HangdumpError

CORE = "AmazonSSMManagedInstanceCore"


class InstanceProfile(Construct):
    """The instance profile: only the rights for Systems Manager, none for the bucket or the table."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            description="Lets Systems Manager reach the instances that Hangdump launches for a rescue or an analysis",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(CORE)],
        )
        acknowledge(
            self.role,
            {
                f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{CORE}]": "AWS maintains this policy "
                "for the SSM agent; the instance exists for one rescue or analysis and has no other right."
            },
        )
        profile = iam.CfnInstanceProfile(self, "Profile", roles=[self.role.role_name])
        self.arn = profile.attr_arn


@dataclass(frozen=True)
class Words:
    """What the instance is called, in states and messages, and the errors of its ways to fail."""

    # In the names of states: collector, twin.
    title: str
    called: str
    died: type[HangdumpError]
    why_died: str
    late: type[HangdumpError]
    silent: type[HangdumpError]
    why_silent: str
    # None: the error of EC2 stays.
    not_launched: type[HangdumpError] | None = None


@dataclass(frozen=True)
class Wanted:
    """The instance to launch, and after how long it shuts itself down. A text that begins with $ is a path into the
    execution's state."""

    words: Words
    profile: InstanceProfile
    image: str
    instance_type: str
    # State paths of the result, of the failure and of its ClientToken.
    result_path: str
    failure_path: str
    client_token_path: str
    network_interface: str
    tags: str
    block_devices: list[dict[str, Any]] | str
    ends_itself_after_seconds: int
    # State path of the user data in base64; None: a script that ends the instance by `shutdown`.
    user_data: str | None = None

    @classmethod
    def planned(cls, *, words: Words, profile: InstanceProfile, failure_path: str, **more: Any) -> Self:
        """A twin, as the fields of `$.plan` say; launched at `$.launched`."""
        return cls(
            words=words,
            profile=profile,
            image="$.plan.imageId",
            instance_type="$.plan.instanceType",
            result_path="$.launched",
            failure_path=failure_path,
            client_token_path="$.plan.clientToken",  # noqa: S106 - a path, not a secret
            network_interface="$.plan.networkInterface",
            tags="$.plan.tags",
            block_devices="$.plan.blockDevices",
            **more,
        )


class ShortLivedInstance(ClosedFragment):
    """Leads to `then` once the agent is online; the instance's id and state are at `wanted.result_path`."""

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        wanted: Wanted,
        settings: Settings,
        then: sfn.IChainable,
        on_failure: sfn.IChainable,
    ) -> None:
        super().__init__(scope, f"{title} states")
        result_path, self._failure, words = wanted.result_path, wanted.failure_path, wanted.words
        launch = task(
            self,
            title,
            _run_instances(wanted),
            result_path=result_path,
            # Capacity may be short for a while: the retries take minutes.
            comment="A retry is harmless: for the same ClientToken EC2 answers with the same instance",
        )
        instance_id = f"{result_path}.instanceId"
        check = task(self, f"Look at {words.title}", _describe(instance_id), result_path=result_path)
        seconds = settings.rescue_instance_timeout_seconds
        polls = polling(seconds, settings.poll_seconds, max_polls=60)
        runs = Poll(self, f"Wait for {words.title}", check=check, polling=polls)
        ask = task(self, f"Ask whether {words.title} is online", _ping(instance_id), result_path="$.ping")
        online = Poll(self, f"Wait for {words.title}'s agent", check=ask, polling=polls)
        died = self._say(
            f"Say that the {words.title} died",
            words.died,
            f"'The {words.called} {{}} is {{}} instead of running. {words.why_died}', {instance_id}, "
            f"{result_path}.state",
        )
        late = self._say(
            f"Say that the {words.title} is late",
            words.late,
            f"'The {words.called} {{}} did not run within {seconds} s.', {instance_id}",
        )
        silent = self._say(
            f"Say that the {words.title} is silent",
            words.silent,
            f"'The agent of the {words.called} {{}} was not online within {seconds} s. {words.why_silent}', "
            f"{instance_id}",
        )
        state = f"{result_path}.state"
        runs.ends_when(sfn.Condition.string_equals(state, "running"), online.start_state)
        runs.ends_when(sfn.Condition.not_(sfn.Condition.string_equals(state, "pending")), died).gives_up(late)
        is_online = sfn.Condition.and_(
            sfn.Condition.is_present("$.ping.seen[0].PingStatus"),
            sfn.Condition.string_equals("$.ping.seen[0].PingStatus", "Online"),
        )
        online.ends_when(is_online, then).gives_up(silent)
        not_launched = on_failure
        if words.not_launched is not None:
            not_launched = self._say(
                f"Say that no {words.title} was launched",
                words.not_launched,
                f"'EC2 launched no {words.called}: {{}}', States.JsonToString({self._failure})",
            ).next(on_failure)
        launch.add_catch(not_launched, errors=["States.ALL"], result_path=self._failure)
        for each in (check, ask):
            each.add_catch(on_failure, errors=["States.ALL"], result_path=self._failure)
        for end in (died, late, silent):
            end.next(on_failure)
        launch.next(runs.start_state)
        self._start = launch

    def _say(self, name: str, error: type[HangdumpError], arguments: str) -> sfn.Pass:
        return name_error(self, name, error, arguments, result_path=self._failure)


def _run_instances(wanted: Wanted) -> ApiCall:
    parameters: dict[str, Any] = {
        **_field("ImageId", wanted.image),
        **_field("InstanceType", wanted.instance_type),
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken.$": wanted.client_token_path,
        "IamInstanceProfile": {"Arn": wanted.profile.arn},
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "NetworkInterfaces.$": f"States.Array({wanted.network_interface})",
        **_field("BlockDeviceMappings", wanted.block_devices),
        "TagSpecifications.$": wanted.tags,
        **_field("UserData", wanted.user_data or _shutdown_in(wanted.ends_itself_after_seconds // 60)),
    }
    return ApiCall("ec2", "runInstances", parameters, {"instanceId.$": "$.Instances[0].InstanceId"})


def _shutdown_in(minutes: int) -> str:
    return base64.b64encode(f"#!/bin/sh\nshutdown -P +{minutes}\n".encode()).decode()


def _field(name: str, value: Any) -> dict[str, Any]:
    is_path = isinstance(value, str) and value.startswith("$")
    return {f"{name}.$" if is_path else name: value}


def _describe(instance_id: str) -> ApiCall:
    kept = {
        "instanceId.$": "$.Reservations[0].Instances[0].InstanceId",
        "state.$": "$.Reservations[0].Instances[0].State.Name",
    }
    return ApiCall("ec2", "describeInstances", {"InstanceIds.$": f"States.Array({instance_id})"}, kept)


def _ping(instance_id: str) -> ApiCall:
    filters = [{"Key": "InstanceIds", "Values.$": f"States.Array({instance_id})"}]
    return ApiCall("ssm", "describeInstanceInformation", {"Filters": filters}, {"seen.$": "$.InstanceInformationList"})

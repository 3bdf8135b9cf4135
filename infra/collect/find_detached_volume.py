"""Finds the detached dump volume of an instance that came back from a crash without a dump.

The dump may be on that volume, and a rescue can read it.
"""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.states.tasks import ApiCall, ClosedFragment, set_fields, task
from lambdas.runtime.tags import OWNER_TAG

_INSTANCE = "$.facts.incident.instanceId"
_VOLUME = "$.detached.volumes[0].VolumeId"


class FindDetachedVolume(ClosedFragment):
    """Entered with the reason why there is no dump at `$.facts.error`; leads to `rescue` or `conclude`."""

    def __init__(self, scope: Construct, title: str, *, rescue: sfn.IChainable, conclude: sfn.IChainable) -> None:
        super().__init__(scope, f"{title} states")
        filters = [
            {"Name": f"tag:{OWNER_TAG}", "Values.$": f"States.Array({_INSTANCE})"},
            {"Name": "status", "Values": ["available"]},
        ]
        described = ApiCall("ec2", "describeVolumes", {"Filters": filters}, {"volumes.$": "$.Volumes"})
        check = task(self, title, described, result_path="$.detached")
        check.add_catch(conclude, errors=["States.ALL"], result_path="$.unseen")
        without = {
            "phase": "online",
            "detail.$": f"States.Format('{{}} came back, but without its dump volume {{}}.', {_INSTANCE}, {_VOLUME})",
            "sawCrashKernel.$": "$.facts.watch.sawCrashKernel",
        }
        say = set_fields(self, "Say that its dump volume is detached", without, result_path="$.facts.watch")
        # The rescue decides the outcome.
        forget = sfn.Pass(self, "Forget the search", result=sfn.Result.from_object({}), result_path="$.facts.error")
        is_detached = sfn.Choice(self, "Is its dump volume detached?")
        # A manual fetch expects no crash: never rescue from an unrelated volume.
        is_expected = sfn.Condition.boolean_equals("$.facts.incident.isCrashExpected", True)
        check.next(is_detached.when(sfn.Condition.and_(is_expected, sfn.Condition.is_present(_VOLUME)), say))
        is_detached.otherwise(conclude)
        say.next(forget).next(rescue)
        self._start = check

"""An instance that came back from a crash without a dump: is it its dump volume that it came back without?

Then the dump, as far as it came, is on that volume, and a rescue can read it.
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
        look = task(self, title, described, result_path="$.detached")
        look.add_catch(conclude, errors=["States.ALL"], result_path="$.unseen")
        without = {
            "phase": "online",
            "detail.$": f"States.Format('{{}} came back, but without its dump volume {{}}.', {_INSTANCE}, {_VOLUME})",
            "sawCrashKernel.$": "$.facts.watch.sawCrashKernel",
        }
        say = set_fields(self, "Say that its dump volume is detached", without, result_path="$.facts.watch")
        # The rescue will say what there is.
        forget = sfn.Pass(self, "Forget the search", result=sfn.Result.from_object({}), result_path="$.facts.error")
        is_detached = sfn.Choice(self, "Is its dump volume detached?")
        # What was fetched by hand, without a crash that was watched, is not on a volume that nobody spoke of.
        is_expected = sfn.Condition.boolean_equals("$.facts.incident.isCrashExpected", True)
        look.next(is_detached.when(sfn.Condition.and_(is_expected, sfn.Condition.is_present(_VOLUME)), say))
        is_detached.otherwise(conclude)
        say.next(forget).next(rescue)
        self._start = look

"""Notes on the instances that a sweep saw ready when that was, so that the gate knows that they still are."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.runtime import clients, moment
from lambdas.runtime.observability import logger
from lambdas.runtime.tags import READY_KERNEL_TAG, READY_TAG
from lambdas.sweep.found import Checked
from lambdas.sweep.time_left import TimeLeft

# CreateTags takes up to 1,000 resources; one that is gone fails the whole call.
_IDS_A_CALL = 100


def renew_readiness(checked: Iterable[Checked], *, seen_at: datetime, time_left: TimeLeft) -> None:
    """`seen_at`: no later than the checks. What could not be noted is in `time_left.unseen`, and the next sweep's."""
    by_kernel: dict[str, list[str]] = defaultdict(list)
    for each in checked:
        if each.is_ready and each.kernel:
            by_kernel[each.kernel].append(each.instance_id)
    for kernel, instance_ids in sorted(by_kernel.items()):
        for start in range(0, len(instance_ids), _IDS_A_CALL):
            chunk = instance_ids[start : start + _IDS_A_CALL]
            tags = {READY_TAG: moment.iso(seen_at), READY_KERNEL_TAG: kernel}
            try:
                clients.ec2().create_tags(
                    Resources=chunk, Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
                )
            except (ClientError, BotoCoreError) as error:
                time_left.unseen.append(f"readiness of {len(chunk)} instances was seen, but not noted: {error}")
            else:
                logger.info("Seen ready with the kernel %s: %d instances", kernel, len(chunk))

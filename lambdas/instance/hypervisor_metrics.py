"""Reads what the hypervisor counts of an instance, whatever became of its network: EBS writes and CPU credits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import mean, median
from typing import TYPE_CHECKING

from lambdas.runtime import clients

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

# Nitro posts EBS metrics every five minutes, and with detailed monitoring every minute.
_PERIOD = timedelta(minutes=5)
# A hang is judged again up to each hour, for as long as it lasts.
_HISTORY = timedelta(hours=24)
# Metric -> statistic
_METRICS = {"EBSWriteOps": "Sum", "CPUCreditBalance": "Minimum"}
# A period is published some minutes after its end: until then CloudWatch may have it in part.
_LAG = timedelta(minutes=5)
# The hang begins some minutes before a check fails.
_LEAD = timedelta(minutes=5)


@dataclass(frozen=True)
class HypervisorMetrics:
    """Writes by period, oldest first; `credits` None: CloudWatch has no balance."""

    writes: tuple[tuple[datetime, float], ...] = ()
    credits: float | None = None

    def writes_before(self, onset: datetime) -> int | None:
        """The median of the periods that ended well before the onset; None: there is none.

        A backup at night is no measure of what the instance writes when it works.
        """
        counts = [count for began, count in self.writes if began + _PERIOD <= onset - _LEAD]
        return round(median(counts)) if counts else None

    def writes_after(self, onset: datetime, now: datetime) -> int | None:
        """The average of the full periods since the onset; None: there is none yet."""
        counts = [count for began, count in self.writes if onset <= began <= now - _PERIOD - _LAG]
        return round(mean(counts)) if counts else None

    def writes_lately(self, onset: datetime, now: datetime) -> int | None:
        """The most in a period since the onset that may not be published in full yet; None: there is none."""
        lately = [count for began, count in self.writes if began >= onset and began > now - _PERIOD - _LAG]
        return round(max(lately)) if lately else None


def read_hypervisor_metrics(instance_id: str, now: datetime) -> HypervisorMetrics:
    """Raises ClientError. Types without credits have no balance."""
    answer = clients.cloudwatch().get_metric_data(
        MetricDataQueries=metric_queries(instance_id, _METRICS, period_seconds=int(_PERIOD.total_seconds())),
        StartTime=now - _HISTORY,
        EndTime=now,
        ScanBy="TimestampAscending",
    )
    series = {
        result["Id"]: tuple(zip(result.get("Timestamps", []), result.get("Values", []), strict=False))
        for result in answer["MetricDataResults"]
    }
    writes, balances = (series.get(f"m{number}", ()) for number in range(len(_METRICS)))
    return HypervisorMetrics(writes, balances[-1][1] if balances else None)


def metric_queries(
    instance_id: str, statistics: Mapping[str, str], *, period_seconds: int
) -> "list[MetricDataQueryTypeDef]":
    """GetMetricData's queries for an instance's metrics of AWS/EC2, with the ids m0, m1, … in their order."""
    return [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/EC2",
                    "MetricName": name,
                    "Dimensions": [{"Name": "InstanceId", "Value": instance_id}],
                },
                "Period": period_seconds,
                "Stat": statistic,
            },
        }
        for number, (name, statistic) in enumerate(statistics.items())
    ]


def has_standard_credits(instance_id: str) -> bool:
    """Whether a burstable instance is slowed down without credits (`standard`), instead of charged (`unlimited`)."""
    answer = clients.ec2().describe_instance_credit_specifications(InstanceIds=[instance_id])
    return any(each.get("CpuCredits") == "standard" for each in answer["InstanceCreditSpecifications"])

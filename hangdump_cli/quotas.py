"""The two quotas that an enrolment uses up, and how much of each is left."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's

from hangdump_cli.aws import Aws
from hangdump_cli.errors import code_of

# "Storage for General Purpose SSD (gp3) volumes, in TiB", 50 by default.
_GP3_TIB = ("ebs", "L-7A658B76")
# CloudWatch's quota of alarms is found by its name: its code is not in the documentation (inferred).
_ALARMS = re.compile(r"\balarms?\b", re.IGNORECASE)
_NO_ALARMS = re.compile(r"mute|composite|contributor|per |rate|transactions", re.IGNORECASE)


@dataclass(frozen=True)
class Quota:
    """`limit` is None if it is unknown."""

    name: str
    used: float
    limit: float | None
    # False: it was found by its name, and may be another one.
    is_certain: bool = True

    def has_room(self, more: float) -> bool | None:
        """None: nobody knows."""
        return None if self.limit is None else self.used + more <= self.limit

    def stops(self, more: float) -> bool:
        """Whether there is surely no room."""
        return self.is_certain and self.has_room(more) is False

    def __str__(self) -> str:
        limit = "an unknown limit" if self.limit is None else f"{self.limit:,.0f}"
        return f"{self.used:,.2f} of {limit}" if self.used % 1 else f"{self.used:,.0f} of {limit}"


def read_quotas(aws: Aws) -> dict[str, Quota]:
    """By `gp3` (TiB of gp3 volumes) and `alarms` (CloudWatch alarms)."""
    filters = [{"Name": "volume-type", "Values": ["gp3"]}]
    gib = sum(
        each["Size"] for page in aws.pages("ec2", "describe_volumes", Filters=filters) for each in page["Volumes"]
    )
    alarms = sum(len(page["MetricAlarms"]) for page in aws.pages("cloudwatch", "describe_alarms"))
    service, code = _GP3_TIB
    return {
        "gp3": Quota("TiB of gp3 volumes", gib / 1024, _limit(aws, service, lambda each: each["QuotaCode"] == code)),
        "alarms": Quota("CloudWatch alarms", float(alarms), _limit(aws, "monitoring", _is_of_alarms), is_certain=False),
    }


def _is_of_alarms(quota: dict[str, Any]) -> bool:
    return bool(_ALARMS.search(quota["QuotaName"])) and not _NO_ALARMS.search(quota["QuotaName"])


def _limit(aws: Aws, service: str, is_wanted: Callable[[dict[str, Any]], bool]) -> float | None:
    try:
        for page in aws.pages("service-quotas", "list_service_quotas", ServiceCode=service):
            for each in page["Quotas"]:
                if is_wanted(each):
                    return float(each["Value"])
    except ClientError as error:
        # Not every account and Region has the service; an unknown limit stops nothing.
        if code_of(error) not in ("NoSuchResourceException", "AccessDeniedException"):
            raise
    except (HTTPClientError, ConnectionError):
        # Service Quotas has no endpoint in some networks and Regions.
        return None
    return None

"""What a drill cost at most: its volumes at list prices, its instance at the price that its user gives. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from hangdump_cli.plan import GP3_GIB_USD, S3_GB_USD

# Of a month, as EBS counts.
_HOURS = 730


@dataclass(frozen=True, kw_only=True)
class DrillCost:
    """US dollars, None where a price or an amount is not known."""

    instance_type: str
    instance_hours: float
    volume_gib_hours: float
    stored_bytes: int
    # Of an hour of the instance type.
    hourly_usd: float | None

    @classmethod
    def of(cls, proof: Mapping[str, Any], hourly_usd: float | None) -> Self:
        """Of what DrillDump gives for a dump that it has proven."""
        return cls(
            instance_type=proof["instanceType"],
            instance_hours=proof["instanceSeconds"] / 3600,
            volume_gib_hours=proof["volumeGibSeconds"] / 3600,
            stored_bytes=proof["vmcoreBytes"],
            hourly_usd=hourly_usd,
        )

    @property
    def volumes_usd(self) -> float | None:
        """At the list price of us-east-1."""
        return self.volume_gib_hours / _HOURS * GP3_GIB_USD if self.volume_gib_hours else None

    @property
    def instance_usd(self) -> float | None:
        """At the price that was given."""
        return None if self.hourly_usd is None else self.instance_hours * self.hourly_usd

    @property
    def stored_monthly_usd(self) -> float:
        """At the list price of us-east-1, until the bucket's rule deletes the vmcore."""
        return self.stored_bytes / 1e9 * S3_GB_USD

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "instanceHours": round(self.instance_hours, 4),
            "volumeGibHours": round(self.volume_gib_hours, 4),
            "instanceUsd": _rounded(self.instance_usd),
            "volumesUsd": _rounded(self.volumes_usd),
            "storedMonthlyUsd": _rounded(self.stored_monthly_usd),
        }

    def in_words(self) -> dict[str, str]:
        """By the names of their fields."""
        hours = f"{self.instance_hours:.2f} hours of {self.instance_type}"
        gib_hours = f"{self.volume_gib_hours:.1f} GiB-hours of gp3" if self.volume_gib_hours else "its volumes"
        paid = {
            "for the instance": self.instance_usd,
            "for the volumes": self.volumes_usd,
            "a month for the vmcore": self.stored_monthly_usd,
        }
        known = ", ".join(f"{_cents(usd)} {what}" for what, usd in paid.items() if usd is not None)
        unpriced = "" if self.hourly_usd is not None else "; the instance on top (--hourly-usd)"
        return {"Used": f"at most {hours} and {gib_hours}", "Cost": f"at most {known}{unpriced}"}


def _rounded(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 6)


def _cents(usd: float) -> str:
    """Rounded up: it is what was paid at most. The inner rounding is against 0.07 * 100 = 7.000000000000001."""
    return f"{math.ceil(round(usd * 100, 6)) / 100:.2f} USD"

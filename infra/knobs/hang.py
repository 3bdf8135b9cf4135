"""The hang: when an instance is interrupted, and when not."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from infra.knobs.base import Knobs
from lambdas.maintenance_windows import parse as parse_window

# What respond_to_hang needs beside its waiting.
RESPONSE_OVERHEAD_SECONDS = 120


class HangKnobs(Knobs):
    """What respond_to_hang decides by."""

    hang_alarm_period_seconds: Literal[60, 300] = Field(60, description="period of the alarm on the instance check")
    hang_alarm_evaluation_periods: int = Field(2, ge=1, le=60, description="failing periods before the alarm fires")
    probe_timeout_seconds: int = Field(45, ge=10, le=600, description="no answer for so long = the instance hangs")
    cooldown_seconds: int = Field(
        3600, ge=60, le=604800, description="no second interrupt to an instance within this time"
    )
    fleet_budget: int = Field(3, ge=1, le=1000, description="interrupts allowed in one window, over all instances")
    zone_budget: int = Field(2, ge=1, le=1000, description="of them in one Availability Zone")
    group_budget: int = Field(1, ge=1, le=1000, description="of them in one Auto Scaling group")
    fleet_budget_window_seconds: int = Field(3600, ge=60, le=604800, description="length of that window")
    boot_grace_seconds: int = Field(
        300,
        ge=0,
        le=86400,
        description="no interrupt so soon after a launch, a start or a reboot that the console shows",
    )
    ready_max_age_days: int = Field(
        30, ge=0, le=3650, description="no interrupt when readiness was proven longer ago; 0 = it does not age"
    )
    ready_across_boots: bool = Field(
        False, description="does readiness that was proven before the last boot count; it may be of another kernel"
    )
    maintenance_windows: list[str] = Field(
        [],
        max_length=20,
        description="hours in which no alarm interrupts, in UTC, such as daily 02:00-02:30 or sat,sun 22:00-04:00",
    )
    evidence_timeout_seconds: int = Field(
        4, ge=0, le=30, description="how long an interrupt waits for the evidence stored before it; 0 = none is stored"
    )
    auto_scaling_standby: Literal["required", "preferred", "off"] = Field(
        "required",
        description="must an instance of an Auto Scaling group be in Standby before an interrupt; off = never asked",
    )
    standby_timeout_seconds: int = Field(
        # A load balancer's deregistration delay is 300 s by default.
        360,
        ge=10,
        le=600,
        description="how long an interrupt waits for Standby",
    )
    dry_run: bool = Field(False, description="decide and record, but never send an interrupt")

    @model_validator(mode="after")
    def _response_fits_into_a_function(self) -> Self:
        # Lambda's longest is 900 s. The probe is sent once more after a long way into Standby.
        longest = 2 * self.probe_timeout_seconds + self.standby_timeout_seconds + RESPONSE_OVERHEAD_SECONDS
        if longest > 900:
            raise ValueError(
                f"probeTimeoutSeconds = {self.probe_timeout_seconds} and standbyTimeoutSeconds = "
                f"{self.standby_timeout_seconds} are too long together: twice the first and the second may be "
                f"{900 - RESPONSE_OVERHEAD_SECONDS} in all"
            )
        return self

    @field_validator("maintenance_windows")
    @classmethod
    def _windows_can_be_read(cls, windows: list[str]) -> list[str]:
        for window in windows:
            parse_window(window)
        return windows

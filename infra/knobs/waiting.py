"""How long the workflows wait, and how much of the network an upload may take."""

from typing import Self

from pydantic import Field, model_validator

from infra.knobs.base import Knobs


class WaitingKnobs(Knobs):
    """The bounds of every waiting loop."""

    poll_seconds: int = Field(10, ge=1, le=300, description="first interval between two looks in every waiting loop")
    document_timeout_seconds: int = Field(
        1800, ge=60, le=28800, description="longest run of a document, reboot included"
    )
    dump_timeout_seconds: int = Field(
        3600, ge=60, le=86400, description="from the interrupt to the instance being back, unless the dump gets on"
    )
    dump_limit_seconds: int = Field(
        # 24 TiB of memory at dump level 31, of which a tenth is written at gp3's 125 MiB/s: 5.6 hours.
        28800,
        ge=60,
        le=172800,
        description="the same while the console shows that the dump gets on",
    )
    dump_stall_seconds: int = Field(
        # Also the time for the boot after the dump: the largest bare metal types need a quarter of an hour.
        1200,
        ge=60,
        le=14400,
        description="a dump without progress on the console for so long is stalled",
    )
    upload_timeout_seconds: int = Field(
        # The URLs of a round live an hour; the parts under way when they die may end.
        5400,
        ge=60,
        le=43200,
        description="longest round of an upload, which sends what fits into 40 minutes",
    )
    analysis_timeout_seconds: int = Field(
        # The URLs live an hour: the result must be sent before.
        3000,
        ge=60,
        le=3300,
        description="longest analysis, from fetching the vmcore to sending the result; its URLs live an hour",
    )
    upload_limit_mibs: int = Field(
        0, ge=0, le=100_000, description="what an upload may use of the instance's network, MiB/s; 0 = all"
    )

    @model_validator(mode="after")
    def _progress_extends_the_wait(self) -> Self:
        if self.dump_limit_seconds < self.dump_timeout_seconds:
            raise ValueError(
                f"dumpLimitSeconds = {self.dump_limit_seconds} must be at least dumpTimeoutSeconds, "
                f"which is {self.dump_timeout_seconds}"
            )
        return self

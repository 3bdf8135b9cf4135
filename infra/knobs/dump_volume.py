"""The dump volume: its size, its speed, its file system."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from infra.knobs.base import Knobs
from lambdas.document_patterns import MOUNT_POINT


class DumpVolumeKnobs(Knobs):
    """What ProvisionDumpVolume creates and attaches."""

    dump_size_factor: float = Field(2.0, ge=0.1, le=10, description="dump volume size as a multiple of memory")
    minimum_dump_volume_gib: int = Field(8, ge=1, le=65536, description="smallest dump volume, GiB")
    volume_throughput_mibs: int = Field(125, ge=125, le=2000, description="gp3 throughput of the dump volume, MiB/s")
    volume_iops: int = Field(3000, ge=3000, le=80000, description="gp3 IOPS of the dump volume")
    file_system: Literal["xfs", "ext4"] = Field("xfs", description="file system of the dump volume")
    mount_point: str = Field("/var/crash", pattern=MOUNT_POINT, description="where it is mounted")

    @model_validator(mode="after")
    def _volume_exists_in_gp3(self) -> Self:
        # gp3: 0.25 MiB/s per provisioned IOPS, and 500 IOPS per GiB above the free 3,000.
        if self.volume_throughput_mibs > self.volume_iops * 0.25:
            needed = math.ceil(self.volume_throughput_mibs / 0.25)
            raise ValueError(
                f"volumeThroughputMibs = {self.volume_throughput_mibs} needs volumeIops of at least {needed}; "
                f"it is {self.volume_iops}"
            )
        if self.volume_iops > max(3000, self.minimum_dump_volume_gib * 500):
            raise ValueError(
                f"volumeIops = {self.volume_iops} needs minimumDumpVolumeGib of at least "
                f"{math.ceil(self.volume_iops / 500)}; it is {self.minimum_dump_volume_gib}"
            )
        return self

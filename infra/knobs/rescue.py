"""The rescue of an instance that does not come back."""

from pydantic import Field

from infra.knobs.base import Knobs


class RescueKnobs(Knobs):
    """What RescueVmcore launches, and where."""

    rescue: bool = Field(
        True, description="is the vmcore of an instance that does not come back read from a copy of its dump volume"
    )
    collector_image: str = Field(
        "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
        pattern=r"^(ami-[0-9a-f]{8,17}|resolve:ssm:/[A-Za-z0-9/._-]+)$",
        description="image of the instance that reads the copy: with an SSM agent, xfs and ext4",
    )
    collector_instance_type: str = Field(
        "m5.large",
        pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$",
        description="its type, of the image's architecture; a larger one has more network for large vmcores",
    )
    collector_timeout_seconds: int = Field(
        900, ge=10, le=7200, description="longest wait for it to run, and then for its agent to be online"
    )
    collector_subnet_id: str = Field(
        "", pattern=r"^$|^subnet-[0-9a-f]{8,17}$", description="its subnet; empty = that of the rescued instance"
    )
    collector_security_group_id: str = Field(
        "", pattern=r"^$|^sg-[0-9a-f]{8,17}$", description="its security group; empty = those of the rescued instance"
    )

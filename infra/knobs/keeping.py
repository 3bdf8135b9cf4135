"""What is kept, what is swept up, and where word of it goes."""

from typing import Literal

from pydantic import Field

from infra.knobs.base import Knobs

# What CloudWatch Logs accepts as retention, up to ten years.
RetentionInDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]

# "https://vpce-0a1b.s3.eu-west-1.vpce.amazonaws.com", and plain http only to a private IPv4 address such as the lab's
# "http://10.0.2.100": a presigned URL is a credential and must not cross a network that others can read.
_PRIVATE_ADDRESS = r"(10(\.\d{1,3}){3}|192\.168(\.\d{1,3}){2}|172\.(1[6-9]|2\d|3[01])(\.\d{1,3}){2})"
_ENDPOINT = rf"^$|^https://[A-Za-z0-9.-]+(:\d{{1,5}})?$|^http://{_PRIVATE_ADDRESS}(:\d{{1,5}})?$"


class KeepingKnobs(Knobs):
    """The sweep, the retention, the endpoint and the address."""

    sweep_interval_hours: int = Field(24, ge=1, le=168, description="hours between two sweeps")
    sweep_removes: bool = Field(
        True, description="does a sweep remove what is ours and empty of value, or only report it"
    )
    sweep_unmarks: bool = Field(
        True, description="does a sweep take the ready tag from an instance that could not dump"
    )
    sweep_collects: bool = Field(
        False, description="does a sweep start CollectVmcore for dumps that nobody asked for, or only report them"
    )

    upload_endpoint_url: str = Field(
        "", pattern=_ENDPOINT, description="S3 endpoint for the instances; empty = the Region's"
    )
    log_retention_days: RetentionInDays = Field(90, description="days that log groups and access logs are kept")
    vmcore_retention_days: int = Field(365, ge=0, le=36500, description="days that vmcores are kept; 0 = for ever")
    report_link_hours: int = Field(
        12,
        ge=0,
        le=168,
        description="hours that the link to the report in a notification is asked to live; it dies with the session "
        "of the function that signed it, within hours; 0 = no link",
    )
    notification_email: str = Field(
        "", pattern=r"^$|^[^@\s]+@[^@\s]+\.[^@\s]+$", description="address subscribed to the topic; empty = none"
    )

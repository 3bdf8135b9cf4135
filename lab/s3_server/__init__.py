"""An S3 endpoint on loopback that refuses what S3 refuses. README.md here says what is verified and what is not."""

from lab.s3_server.credentials import Credentials
from lab.s3_server.faults import Answer, Expire, Fault, FaultPlan, FlipByte, LoseAnswer, Reset
from lab.s3_server.server import S3Server

__all__ = [
    "Answer",
    "Credentials",
    "Expire",
    "Fault",
    "FaultPlan",
    "FlipByte",
    "LoseAnswer",
    "Reset",
    "S3Server",
]

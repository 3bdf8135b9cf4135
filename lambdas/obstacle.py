"""Why an interrupt that was decided and claimed is not sent after all."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Obstacle:
    """`reason` is the code that the record and the advice go by, `detail` the same in words."""

    reason: str
    detail: str

"""A vmcore on an instance, small enough for tests, as `upload_vmcore` finds, describes and sends it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.lambdas.bucket import Bucket, digest_of

PART_BYTES = 1000
PARTS_PER_BATCH = 3


@dataclass(frozen=True)
class OnInstance:
    """The files of one dump, and curl."""

    vmcore: bytes
    dmesg: bytes = b"[    1.0] Kernel panic - not syncing: NMI: Not continuing\n"

    def found(self) -> dict[str, Any]:
        return {
            "status": "complete",
            "vmcore": {
                "path": "/var/crash/202611230400/dump.202611230400",
                "sizeBytes": len(self.vmcore),
                "modifiedEpoch": 1_795_406_450,
            },
            "dmesg": {
                "path": "/var/crash/202611230400/dmesg.202611230400",
                "sizeBytes": len(self.dmesg),
                "digest": digest_of(self.dmesg),
            },
            "bootId": "b",
            "bootedAt": "2026-11-23T04:01:20Z",
            "kernel": "6.1.0-18-cloud-amd64",
            "memoryBytes": 1 << 30,
        }

    @property
    def parts(self) -> int:
        return -(-len(self.vmcore) // PART_BYTES)

    def part(self, number: int) -> bytes:
        return self.vmcore[(number - 1) * PART_BYTES : number * PART_BYTES]

    def upload(self, bucket: Bucket, manifest: str, *, only: int | None = None) -> None:
        """What the document does with a manifest; `only` so many lines of it, as if the instance died then."""
        for line in manifest.splitlines()[:only]:
            kind, number, offset, length, digest, url = line.split("\t")
            data = self.vmcore[int(offset) : int(offset) + int(length)]
            if kind == "describe":
                bucket.send(url, self.description(int(number), data, int(digest)))
            elif kind == "dmesg":
                bucket.send(url, self.dmesg, digest=digest)
            else:
                assert data == self.part(int(number))
                bucket.send(url, data, digest=digest)

    @staticmethod
    def description(first: int, data: bytes, part_bytes: int) -> bytes:
        parts = [data[offset : offset + part_bytes] for offset in range(0, len(data), part_bytes)]
        lines = (f"{first + index}\t{len(part)}\t{digest_of(part)}\n" for index, part in enumerate(parts))
        return "".join(lines).encode()

    def upload_all(
        self, bucket: Bucket, plan: Callable[[], dict[str, Any]], manifest: Callable[[], str]
    ) -> dict[str, Any]:
        """Round after round until nothing is left; what the last plan said."""
        for _ in range(10):
            planned = plan()
            if not planned["isAnythingLeft"]:
                return planned
            self.upload(bucket, manifest())
        raise AssertionError("it never ends")


DUMP = OnInstance(bytes(range(256)) * 18)  # 4608 bytes: four whole parts and a shorter one, in two batches

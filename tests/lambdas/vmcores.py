"""A vmcore on an instance, small enough for tests, as `upload_vmcore find` describes it."""

from dataclasses import dataclass
from typing import Any

from tests.lambdas.bucket import Bucket, digest_of

PART_BYTES = 1000


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
                "partBytes": PART_BYTES,
                "partDigests": [digest_of(self.part(number)) for number in range(1, self.parts + 1)],
            },
            "dmesg": {
                "path": "/var/crash/202611230400/dmesg.202611230400",
                "sizeBytes": len(self.dmesg),
                "digest": digest_of(self.dmesg),
            },
            "bootId": "b",
            "bootedAt": "2026-11-23T04:01:20Z",
            "kernel": "6.1.0-18-cloud-amd64",
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
            data = self.dmesg if kind == "dmesg" else self.vmcore[int(offset) : int(offset) + int(length)]
            assert kind == "dmesg" or data == self.part(int(number))
            bucket.send(url, data, digest=digest)


DUMP = OnInstance(bytes(range(256)) * 18)  # 4608 bytes: four whole parts and a shorter one

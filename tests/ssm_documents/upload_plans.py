"""What the workflow gives upload_vmcore in a round: the manifest in the bucket, and the parameters."""

from collections.abc import Sequence

from tests.ssm_documents.bucket import Bucket
from tests.ssm_documents.document_run import Run
from tests.ssm_documents.dumps import VMCORE, digest_of
from tests.ssm_documents.fake_root import MIB, FakeRoot

SIGNATURE = "X-Amz-Signature=5ec2e7"
PART_BYTES = 8 * MIB


def parameters_of(bucket: Bucket, root: FakeRoot, lines: Sequence[Sequence[object]]) -> dict[str, str]:
    """What the workflow sends: the manifest in the bucket, and the parameters."""
    vmcore = root.run("upload_vmcore").result["vmcore"]
    bucket.objects["/manifest.tsv"] = "".join("\t".join(map(str, line)) + "\n" for line in lines).encode()
    return {
        "action": "upload",
        "manifestUrl": f"{bucket.url}/manifest.tsv?{SIGNATURE}",
        "vmcorePath": vmcore["path"],
        "sizeBytes": str(vmcore["sizeBytes"]),
        "modifiedEpoch": str(vmcore["modifiedEpoch"]),
    }


def plan_of(
    bucket: Bucket, root: FakeRoot, *, skip: tuple[int, ...] = (), describe: int | None = None
) -> dict[str, str]:
    """The dmesg and every part but those to skip; `describe` is the part with which a further batch begins."""
    lines: list[list[object]] = []
    if dmesg := root.run("upload_vmcore").result["dmesg"]:
        lines.append(["dmesg", 0, 0, dmesg["sizeBytes"], dmesg["digest"], f"{bucket.url}/dmesg?{SIGNATURE}"])
    data = (root.path / VMCORE.lstrip("/")).read_bytes()
    for index, offset in enumerate(range(0, len(data), PART_BYTES)):
        part = data[offset : offset + PART_BYTES]
        if index + 1 not in skip:
            url = f"{bucket.url}/part-{index + 1}?{SIGNATURE}"
            lines.append(["part", index + 1, offset, len(part), digest_of(part), url])
    if describe is not None:
        offset = (describe - 1) * PART_BYTES
        url = f"{bucket.url}/digests?{SIGNATURE}"
        lines.append(["describe", describe, offset, len(data) - offset, PART_BYTES, url])
    return parameters_of(bucket, root, lines)


def parts_in(bucket: Bucket, count: int = 3) -> bytes:
    return b"".join(bucket.objects[f"/part-{number}"] for number in range(1, count + 1))


def assert_kept_and_secret(root: FakeRoot, run: Run) -> None:
    assert (root.path / VMCORE.lstrip("/")).exists()
    assert SIGNATURE not in run.stdout + run.stderr

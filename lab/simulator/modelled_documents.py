"""What the documents answer on a modelled host, and do to its disk.

tests/ssm_documents and tests/workflow run the real documents; here only the order of calls to AWS counts.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lab.machines.machine import Completed
from lab.simulator.modelled_host import MOUNT_POINT, BareHost, Dump
from lab.simulator.modelled_s3 import Refused, request
from lab.simulator.scheduler import scheduler

_KERNEL = "6.1.0-28-cloud-amd64"
# By whether the crash kernel waits: on the RHEL-like family it does so by kdump's own configuration.
_CONFIGS = {False: "0123456789abcdef", True: "fedcba9876543210"}
HANG_DELAY_SECONDS = 20.0
BLOCKED_TASK = {"name": "planted-task", "pid": 7, "seconds": 3.5, "backtrace": []}
ANALYSIS = {"kernelRelease": _KERNEL, "isSymbolsMatched": True, "blockedTasks": [BLOCKED_TASK]}


class ModelledHost(BareHost):
    """A host whose documents answer."""

    def _answer(self, script: str, environment: Mapping[str, str]) -> Completed:
        """With the document's parameters, as the agent hands them over."""
        document = document_of(script)
        action = environment.get("SSM_action", "")
        name = f"{document} {action}" if action else document
        self.documents_run.append(name)
        if name in self.before:
            self.before[name]()
        if name in self.prints:
            return Completed(0, json.dumps(self.prints[name]), "")
        if name in self.fails_with:
            return Completed(1, json.dumps(self.fails_with[name]), "")
        return _ANSWERS[name](self, environment)


# "# Assembled from ssm_documents/check_kdump/document.yaml; edit the files there."
_SOURCE = re.compile(r"^# Assembled from ssm_documents/(\w+)/", re.MULTILINE)


def document_of(script: str) -> str:
    """Which document a script is."""
    match = _SOURCE.search(script)
    assert match, script[:200]
    return match[1]


def _probe_instance(host: BareHost, _: Mapping[str, str]) -> Completed:
    return _success(**_boot(host))


def _measure_dump(host: BareHost, _: Mapping[str, str]) -> Completed:
    return _success(expectedDumpBytes=6 * 2**30, method="makedumpfile" if host.is_reserved else "meminfo")


def _prepare_dump_volume(host: BareHost, environment: Mapping[str, str]) -> Completed:
    host.waits_seconds, host.is_mounted = 0, True
    if not host.file_systems.get(environment["SSM_volumeId"]):
        make_file_system(host, environment["SSM_volumeId"])
    return _success(status="prepared", device="/dev/nvme1n1", mountPoint="/var/crash")


def make_file_system(host: BareHost, volume_id: str) -> None:
    """Another one than any before."""
    host.file_systems_made += 1
    host.file_systems[volume_id] = f"0a1b2c3d-0000-4000-8000-{host.file_systems_made:012}"


def _park(host: BareHost, environment: Mapping[str, str]) -> Completed:
    if not host.can_park:
        return _failure("ParkingUnsupported", "This is an rpm host: its dump volume stays attached.")
    if host.dumps():
        return _failure("DumpVolumeHoldsDump", f"{host.dumps()[0].path} is a dump that nobody has collected.")
    is_empty = host.is_mounted and environment["SSM_volumeId"] in host.plugged
    host.waits_seconds, host.is_mounted = float(environment["SSM_waitSeconds"]), False
    host.waits_for = host.file_systems.get(environment["SSM_volumeId"], host.waits_for)
    status = "parked" if is_empty else "unchanged"
    boot_id = _boot(host)["bootId"]
    seen = {"volumeEmpty": is_empty, "bootId": boot_id, "kernel": _KERNEL, "configId": config_id(host)}
    return _success(status=status, mountPoint=MOUNT_POINT, uuid=host.waits_for, **seen)


def _mount(host: BareHost, environment: Mapping[str, str]) -> Completed:
    if not host.waits_seconds:
        return _success(status="not-parked")
    if environment["SSM_volumeId"] not in host.plugged:
        return _failure("DumpVolumeNotFound", f"There is no disk of {environment['SSM_volumeId']}.")
    host.is_mounted = True
    return _success(status="mounted", mountPoint=MOUNT_POINT)


def _configure_kdump(host: BareHost, environment: Mapping[str, str]) -> Completed:
    host.is_configured = True
    if not host.is_reserved and environment["SSM_reboot"] == "true":
        return Completed(194, "", "")
    status = "configured" if host.is_reserved else "reboot-required"
    return _success(status=status, family="debian", crashkernel="192M", changes=[])


def _check_kdump(host: BareHost, environment: Mapping[str, str]) -> Completed:
    finding = {"code": "crash-kernel-not-loaded", "severity": "error", "observed": "0", "remedy": "load it"}
    is_ready = host.is_ready and host.is_configured
    findings = [] if is_ready else [finding]
    seen = {"kernel": _KERNEL, "configId": config_id(host), "crashKernelLoaded": is_ready}
    report = _success(ready=is_ready, findings=findings, **seen)
    return report if is_ready or environment["SSM_exitWhenNotReady"] == "false" else replace(report, exit_code=1)


def config_id(host: BareHost) -> str:
    """Of its kdump configuration, as it is now."""
    return _CONFIGS[host.waits_seconds > 0]


def _unconfigure_kdump(host: BareHost, environment: Mapping[str, str]) -> Completed:
    if host.dumps():
        return _failure("DumpOnInstance", f"{host.dumps()[0].path} is a dump that nobody has collected.")
    status = "unconfigured" if host.is_configured else "unchanged"
    freed = 192 * 2**20 if host.is_reserved else 0
    host.is_configured = host.is_reserved = False
    host.waits_seconds = 0
    is_empty = environment["SSM_volumeId"] in host.plugged
    return _success(status=status, kernel=_KERNEL, bytesGivenBack=freed, volumeEmpty=is_empty, left=[], files=[])


def _mount_dump_copy(host: BareHost, environment: Mapping[str, str]) -> Completed:
    point = environment["SSM_mountPoint"]
    host.disk = [
        replace(dump, path=f"{point}{dump.path.removeprefix(MOUNT_POINT)}") for dump in _copied(host, environment)
    ]
    files = [name for dump in host.disk for name in _files_of(dump, point)] + host.foreign_files
    return _success(
        status="mounted",
        journal="replayed",
        mountPoint=point,
        volumeEmpty=not files,
        fileCount=len(files),
        files=files[:20],
    )


def _copied(host: BareHost, environment: Mapping[str, str]) -> list[Dump]:
    return host.plugged[environment["SSM_volumeId"]]


def _files_of(dump: Dump, point: str) -> list[str]:
    """As Debian writes them, relative to the mount point."""
    path = dump.path.removeprefix(f"{point}/")
    return [path, f"{path.partition('/')[0]}/dmesg.{path.rpartition('.')[2]}"]


def _find(host: BareHost, environment: Mapping[str, str]) -> Completed:
    since = environment["SSM_since"]
    for dump in reversed(host.dumps()):
        if since == "none" or dump.modified_epoch > int(since):
            return _success(
                status="complete" if dump.is_complete else "incomplete",
                vmcore={"path": dump.path, "sizeBytes": len(dump.content), "modifiedEpoch": dump.modified_epoch},
                dmesg={"path": "/var/crash/dmesg", "sizeBytes": len(dump.dmesg), "digest": _digest(dump.dmesg)},
                memoryBytes=2**30,
                **_boot(host),
            )
    return _failure("VmcoreNotFound", "There is no dump below /var/crash.")


def _upload(host: BareHost, environment: Mapping[str, str]) -> Completed:
    dump = _named(host, environment)
    if dump is None:
        return _failure("VmcoreChanged", f"{environment['SSM_vmcorePath']} is no longer what it was.")
    try:
        for line in _manifest(host, environment):
            _do(host, line, dump)
    except Refused as refused:
        return _failure("UploadRefused", f"S3 answered {refused}.")
    return _success(status="uploaded")


def _do(host: BareHost, line: str, dump: Dump) -> None:
    kind, number, offset, length, digest_or_part_bytes, url = line.split("\t")
    body = dump.content[int(offset) : int(offset) + int(length)] if kind != "dmesg" else dump.dmesg
    if kind != "describe":
        request(host.account, "PUT", url, body, digest=digest_or_part_bytes)
        return
    step, first = int(digest_or_part_bytes), int(number)
    parts = [body[begin : begin + step] for begin in range(0, len(body), step)]
    lines = [f"{first + index}\t{len(part)}\t{_digest(part)}\n" for index, part in enumerate(parts)]
    request(host.account, "PUT", url, "".join(lines).encode())


def _remove(host: BareHost, environment: Mapping[str, str]) -> Completed:
    dump = _named(host, environment)
    if dump is None:
        if any(each.path == environment["SSM_vmcorePath"] for each in host.dumps()):
            return _failure("VmcoreChanged", "It changed.")
        return _success(status="already-removed", freedBytes=0)
    host.disk.remove(dump)
    host.on_removal(dump)
    return _success(status="removed", freedBytes=len(dump.content))


def _analyze_vmcore(host: BareHost, environment: Mapping[str, str]) -> Completed:
    try:
        urls = {kind: url for kind, _, url in (line.split("\t") for line in _manifest(host, environment))}
        for kind in ("bundle", "vmcore"):
            request(host.account, "GET", urls[kind])
        request(host.account, "PUT", urls["result"], json.dumps(ANALYSIS).encode())
    except Refused as refused:
        return _failure("TransferRefused", f"S3 answered {refused}.")
    return _success(status="analysed", analysisBytes=len(json.dumps(ANALYSIS)), seconds=1)


def _hang_instance(host: BareHost, environment: Mapping[str, str]) -> Completed:
    """Some seconds after it has said so."""

    def hang() -> None:
        scheduler.sleep(HANG_DELAY_SECONDS)
        if environment["SSM_hang"] == "panic":
            host.panic()
        else:
            host.hang()
        host.on_hang()

    scheduler.spawn(hang)
    return _success(status="hanging", way=environment["SSM_hang"])


_ANSWERS = {
    "probe_instance": _probe_instance,
    "measure_dump": _measure_dump,
    "prepare_dump_volume": _prepare_dump_volume,
    "park_dump_volume park": _park,
    "park_dump_volume mount": _mount,
    "configure_kdump": _configure_kdump,
    "check_kdump": _check_kdump,
    "unconfigure_kdump": _unconfigure_kdump,
    "mount_dump_copy": _mount_dump_copy,
    "upload_vmcore find": _find,
    "upload_vmcore upload": _upload,
    "upload_vmcore remove": _remove,
    "analyze_vmcore": _analyze_vmcore,
    "hang_instance": _hang_instance,
}


def _manifest(host: BareHost, environment: Mapping[str, str]) -> list[str]:
    return request(host.account, "GET", environment["SSM_manifestUrl"]).decode().splitlines()


def _named(host: BareHost, environment: Mapping[str, str]) -> Dump | None:
    """The dump that is still what its parameters say."""
    wanted = tuple(environment[f"SSM_{name}"] for name in ("vmcorePath", "sizeBytes", "modifiedEpoch"))
    known = ((each, (each.path, str(len(each.content)), str(each.modified_epoch))) for each in host.dumps())
    return next((each for each, described in known if described == wanted), None)


def _boot(host: BareHost) -> dict[str, str]:
    booted = datetime.fromtimestamp(int(host.booted_at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"bootId": f"boot-{host.reboots}", "bootedAt": booted, "kernel": _KERNEL}


def _digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _success(**result: Any) -> Completed:
    return Completed(0, json.dumps(result), "")


def _failure(error: str, message: str) -> Completed:
    return Completed(1, json.dumps({"error": error, "message": message}), "")

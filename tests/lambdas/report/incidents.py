"""Incidents to draw: like the demo's, a refused one, a panic of which little is known, and an enormous one."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from lambdas.incident.index_fields import IndexedIncident, SimilarIncident
from lambdas.report.page import Exhibits
from lambdas.triage.model import (
    BlockedTask,
    Cpu,
    CrashClass,
    Frame,
    InstructionPointer,
    Memory,
    ProcessMemory,
    Task,
    Triage,
    Trouble,
)

INSTANCE = "i-0ac5d48fc94c393a0"
INCIDENT = f"20261123T055328Z-{INSTANCE}"
PREFIX = f"vmcores/123456789012/eu-central-1/{INSTANCE}/{INCIDENT}/"


def timeline(*entries: tuple[str, str, str]) -> list[dict[str, str]]:
    return [{"at": f"2026-11-23T{time}Z", "event": event, "detail": detail} for time, event, detail in entries]


CAPTURED: dict[str, Any] = {
    "accountId": "123456789012",
    "alarmName": f"hangdump-{INSTANCE}",
    "bucket": "hangdump-vmcorebucket4af2b100-6vcxenkpkjdi",
    "decision": "interrupt",
    "decisionReason": "kernel-deaf",
    "durations": {
        "alarmToInterruptSeconds": 16,
        "interruptToOnlineSeconds": 54,
        "interruptToVerifiedSeconds": 69,
        "totalSeconds": 88,
    },
    "evidence": {
        "architectures": ["x86_64"],
        "attachedEbsStatus": "ok",
        "hypervisor": "nitro",
        "instanceState": "running",
        "instanceStatus": "impaired",
        "interruptsInWindow": 0,
        "impairedEpoch": 1795406250,
        "isEnrolled": True,
        "isInstanceKnown": True,
        "isProbeAnswered": False,
        "readyEpoch": 1795400000,
        "lastInterruptEpoch": 0,
        "notes": ["The probe 59b5073b-856d-4b32-ad6f-4f8f4830c62e is still Pending at its timeout."],
        "nowEpoch": 1795413209,
        "systemStatus": "ok",
    },
    "executionArn": f"arn:aws:states:eu-central-1:123456789012:execution:CollectVmcore:{INCIDENT}",
    "executionName": INCIDENT,
    "incidentId": INCIDENT,
    "instanceId": INSTANCE,
    "kernel": "6.1.0-56-cloud-amd64",
    "keys": {
        name: f"{PREFIX}{file}"
        for name, file in {
            "console": "console.txt",
            "dmesg": "vmcore-dmesg.txt",
            "incident": "incident.json",
            "manifest": "manifest.json",
            "report": "report.html",
            "triage": "triage.json",
            "vmcore": "vmcore",
        }.items()
    },
    "openedAt": "2026-11-23T05:53:44Z",
    "origin": "alarm",
    "panicLine": "Kernel panic - not syncing: NMI: Not continuing",
    "problems": [],
    "reason": "The vmcore is in the bucket, complete and identical to the one on the instance, from which it was "
    "removed.",
    "region": "eu-central-1",
    "timeline": timeline(
        ("05:53:28", "alarm", f"hangdump-{INSTANCE}"),
        ("05:53:44", "decided", ""),
        ("05:53:44", "claimed", ""),
        ("05:53:44", "interrupt-sent", f"EC2 accepted the diagnostic interrupt for {INSTANCE}."),
        ("05:53:45", "collection-started", ""),
        ("05:53:48", "crash-kernel", "The crash kernel boots."),
        ("05:54:07", "dumping", "makedumpfile runs."),
        ("05:54:09", "saved", "The vmcore is saved; the instance reboots soon."),
        ("05:54:28", "waiting", "The console shows no crash kernel yet."),
        ("05:54:38", "online", f"{INSTANCE} is back: it booted at 2026-11-23T05:54:18Z."),
        ("05:54:43", "upload-started", "30921973 bytes in 4 parts"),
        ("05:54:53", "verified", "30921973 bytes, sha256 F6LWEqbggBJ6XN8bd7sfYBOtXyGPn+olIGA6lwVk2ps=-4"),
        ("05:54:56", "concluded", "captured: The vmcore is in the bucket, complete and identical."),
    ),
    "upload": {"modifiedEpoch": 1795413248, "vmcorePath": "/var/crash/202611230554/dump.202611230554"},
    "verdict": "captured",
    "vmcore": {
        "digest": "F6LWEqbggBJ6XN8bd7sfYBOtXyGPn+olIGA6lwVk2ps=-4",
        "key": f"{PREFIX}vmcore",
        "parts": 4,
        "sizeBytes": 30921973,
    },
}

SPINNING = Triage(
    kernel_release="6.1.0-56-cloud-amd64",
    architecture="x86_64",
    uptime_seconds=106.8,
    panic_message="NMI: Not continuing",
    crash_class=CrashClass.NMI_HANG,
    sentence="The kernel hung until it was interrupted: hangdump-spinne (602) held CPU 0, in user space.",
    crashing_cpu=0,
    task=Task(name="hangdump-spinne", pid=602),
    instruction_pointer=InstructionPointer(is_user_space=True),
    taint="Not tainted",
    modules=("xfs", "nvme", "virtio_net"),
    hardware="Amazon EC2 t3.micro, BIOS 1.16.2 04/01/2014",
    cpus=(
        Cpu(cpu=0, task=Task(name="hangdump-spinne", pid=602), is_user_space=True),
        Cpu(cpu=1, task=Task(name="hangdump-spinne", pid=606), is_user_space=True),
    ),
    warnings=(
        Trouble(at=90.869123, text="rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"),
        Trouble(at=90.869123, text="rcu: rcu_preempt kthread starved for 5250 jiffies! g14665 f0x2"),
        Trouble(at=106.796558, text="Uhhuh. NMI received for unknown reason 31 on CPU 0."),
    ),
    signature="3f1c9a7be2d40855",
)

BEFORE = [
    SimilarIncident(
        incident_id=f"202611{day:02}T101500Z-{instance}",
        instance_id=instance,
        opened_at=datetime(2026, 11, day, 10, 15, tzinfo=UTC),
        verdict="captured",
        kernel="6.1.0-56-cloud-amd64",
        report_key=f"vmcores/123456789012/eu-central-1/{instance}/202611{day:02}T101500Z-{instance}/report.html",
    )
    for day, instance in ((21, INSTANCE), (17, "i-0b7d25f1a0c3e4998"), (3, INSTANCE))
]

EXHIBITS = Exhibits(
    console="[   31.239011] XFS (nvme1n1p1): Ending clean mount\n\nDebian GNU/Linux 12 ip-10-0-2-15 ttyS0\n",
    log="[  106.796558] Uhhuh. NMI received for unknown reason 31 on CPU 0.\n"
    "[  106.796790] Kernel panic - not syncing: NMI: Not continuing",
    retention_days=365,
)

ANALYSIS: dict[str, Any] = {
    "kernelRelease": "6.1.0-56-cloud-amd64",
    "isSymbolsMatched": True,
    "culprit": {
        "crashClass": "nmi-hang",
        "task": {"name": "hangdump-spinne", "pid": 602},
        "cpu": 0,
        "function": "",
        "module": "/usr/local/bin/hangdump-spinner",
        "waiters": [],
    },
    "cpus": [
        {
            "cpu": cpu,
            "task": {"name": "hangdump-spinne", "pid": 602 + 4 * cpu},
            "backtrace": [
                {"function": "asm_exc_nmi", "file": "arch/x86/entry/entry_64.S", "line": 1512, "module": ""},
            ],
        }
        for cpu in (0, 1)
    ],
    "memory": {
        "totalBytes": 1_004_535_808,
        "freeBytes": 602_112_000,
        "slabs": [
            {"name": name, "bytes": size * 1024}
            for name, size in (
                ("inode_cache", 9_812),
                ("dentry", 7_410),
                ("kmalloc-4k", 4_096),
                ("ext4_inode_cache", 3_900),
                ("kernfs_node_cache", 2_400),
                ("task_struct", 1_210),
            )
        ],
        "processes": [
            {"name": name, "pid": pid, "rssBytes": size * 1024}
            for name, pid, size in (
                ("systemd", 1, 11_904),
                ("systemd-journal", 201, 9_820),
                ("amazon-ssm-agen", 433, 8_004),
                ("hangdump-spinne", 602, 920),
            )
        ],
    },
    "locks": [{"kind": "mutex", "holder": "cp (812)", "waiters": ["sync (844)"], "detail": "inode i_rwsem"}],
    "blockRequests": [{"device": "nvme1n1", "operation": "write", "ageSeconds": 31.4}],
    "problems": [],
}

REFUSED: dict[str, Any] = {
    name: CAPTURED[name]
    for name in ("accountId", "alarmName", "evidence", "incidentId", "instanceId", "openedAt", "region", "bucket")
} | {
    "decision": "refuse",
    "decisionReason": "instance-responds",
    "reason": "instance-responds. The instance executed the probe: it lives.",
    "verdict": "refused",
    "timeline": timeline(
        ("05:53:28", "alarm", f"hangdump-{INSTANCE}"),
        ("05:53:44", "decided", ""),
        ("05:53:44", "refused", "instance-responds: The instance executed the probe: it lives."),
    ),
}

LITTLE_KNOWN: dict[str, Any] = {
    "incidentId": INCIDENT,
    "instanceId": INSTANCE,
    "verdict": "panic-no-dump",
    "reason": "The instance restarted, but left no vmcore. VmcoreNotFound: nothing newer than the interrupt.",
    "timeline": timeline(("05:53:44", "interrupt-sent", ""), ("05:56:10", "online", "")),
    "problems": ["vmcore-dmesg.txt: An error occurred (AccessDenied) when calling the GetObject operation"],
}

_LONG = "a_function_whose_name_somebody_made_as_long_as_the_kernel_permits_and_then_a_little_longer_still_isra_0_cold"


def _deep(symbol: str) -> tuple[Frame, ...]:
    return tuple(
        Frame(symbol=name, offset=0x12C, size=0x8F0, module=module, is_reliable=at != 2)
        for at, (name, module) in enumerate(
            [("__schedule", ""), ("schedule", ""), ("io_schedule", ""), (symbol, "xfs"), ("vfs_write", "")]
        )
    )


ENORMOUS = Triage(
    kernel_release="5.14.0-427.13.1.el9_4.x86_64+a.very.long.local.version.suffix.of.a.kernel.that.somebody.built",
    architecture="x86_64",
    uptime_seconds=86400 * 211 + 7300,
    panic_message="hung_task: blocked tasks, " + "and more of a message without any end, " * 8,
    crash_class=CrashClass.HUNG_TASK,
    sentence="200 tasks waited for a lock that kworker/u256:3-xfs-cil/nvme1n1p1 (90210) holds since 14 minutes, while "
    "it waits for a write to nvme1n1 that does not end.",
    crashing_cpu=77,
    task=Task(name="khungtaskd", pid=801),
    instruction_pointer=InstructionPointer(symbol=_LONG, offset=0x4C, size=0x330, module="a_module_of_a_vendor"),
    call_trace=_deep(_LONG) * 6,
    taint="G           OE",
    hardware="Amazon EC2 u7in-32tb.224xlarge/, BIOS 1.0 10/16/2017",
    cpus=tuple(
        Cpu(cpu=cpu, task=Task(name=f"swapper/{cpu}", pid=0), symbol="native_safe_halt")
        if cpu % 3 == 0
        else Cpu(
            cpu=cpu,
            task=Task(name=f"a-worker-{cpu:06}", pid=9000 + cpu),
            symbol=_LONG if cpu % 5 == 0 else "native_queued_spin_lock_slowpath",
            call_trace=_deep("xfs_buf_lock"),
        )
        for cpu in range(128)
    ),
    blocked_tasks=tuple(
        BlockedTask(
            name=f"postgres-{at:06}",
            pid=10_000 + at,
            blocked_seconds=900 - at,
            call_trace=_deep(_LONG if at % 7 == 0 else "xfs_log_commit_cil"),
        )
        for at in range(200)
    ),
    warnings=tuple(
        Trouble(at=18_230_000.5 + at, text=f"INFO: task postgres-{at:06} blocked for more than 614 s " + "x" * (at * 5))
        for at in range(60)
    ),
    memory=Memory(
        total_bytes=32 * 1024**4,
        free_bytes=1 * 1024**4,
        anonymous_bytes=21 * 1024**4,
        file_bytes=8 * 1024**4,
        slab_bytes=1024**4,
        processes=tuple(
            ProcessMemory(name=f"postgres-{at:06}", pid=10_000 + at, rss_bytes=(300 - at) * 1024**3) for at in range(60)
        ),
    ),
    signature="b0a1f2c3d4e5f607",
)

LONG_UPLOAD = CAPTURED | {
    "durations": {"interruptToVerifiedSeconds": 40_000, "interruptToOnlineSeconds": 2_400},
    "problems": ["console.txt: An error occurred (" + "Throttling" * 30 + ")"],
    "timeline": timeline(
        ("00:53:28", "alarm", "hang"),
        ("00:53:44", "decided", ""),
        ("00:53:44", "interrupt-sent", ""),
        ("00:53:50", "crash-kernel", ""),
        ("00:55:07", "dumping", ""),
        ("01:24:09", "saved", ""),
        ("01:34:38", "online", ""),
        ("01:35:43", "upload-started", ""),
        ("12:00:53", "verified", ""),
        ("12:01:56", "concluded", "captured"),
    ),
    "vmcore": {"digest": "A" * 44 + "-10000", "parts": 10_000, "sizeBytes": 9 * 1024**4, "key": f"{PREFIX}vmcore"},
}

_WHO = "CPU: {cpu} PID: {pid} Comm: {comm} Not tainted 6.1.0-28-cloud-amd64 #1  Debian 6.1.119-1"
_IDLE_AT_THE_INTERRUPT = (
    "Kernel panic - not syncing: NMI: Not continuing",
    _WHO.format(cpu=0, pid=0, comm="swapper/0"),
    "Call Trace:",
    " <NMI>",
    " panic+0x118/0x2f4",
    " end_repeat_nmi+0x16/0x67",
    "RIP: 0010:native_safe_halt+0xb/0x10",
    " </NMI>",
    " default_idle+0xa/0x10",
    " do_idle+0x1e4/0x250",
)


def _log(lines: Iterable[str]) -> str:
    return "".join(f"[ {4340 + number / 1000:.6f}] {line}\n" for number, line in enumerate(lines))


def blocked_log(count: int) -> str:
    """A disk does not answer: so many tasks wait for it, most of them for the journal."""
    lines = []
    for number in range(count):
        is_journal = number == 0
        name = "jbd2/nvme1n1-8" if is_journal else f"postgres-{number}" if number % 3 else "backup"
        waits: tuple[str, ...] = (
            ("jbd2_log_wait_commit", "ext4_sync_file") if number % 3 else ("wait_transaction_locked",)
        )
        if is_journal:
            waits = ("io_schedule", "bit_wait_io", "jbd2_journal_commit_transaction")
        lines += [
            f"INFO: task {name}:{388 + number} blocked for more than 120 seconds.",
            f"task:{name} state:D stack:0 pid:{388 + number} ppid:2 flags:0x00004000",
            "Call Trace:",
            *(f" {function}+0x4d/0x9e" for function in ("__schedule", "schedule", *waits)),
        ]
    return _log([*lines, *_IDLE_AT_THE_INTERRUPT])


def crowd_log(cpus: int) -> str:
    """All CPUs but one spin for a lock, which the task on the other one holds."""
    lines = []
    for cpu in range(1, cpus):
        place = "example_hold" if cpu == 211 else "native_queued_spin_lock_slowpath"
        callers = ("example_purge",) if cpu == 211 else ("_raw_spin_lock", "dentry_unlink", "do_unlinkat")
        lines += [
            f"NMI backtrace for cpu {cpu}",
            _WHO.format(cpu=cpu, pid=5000 + cpu, comm="rm" if cpu != 211 else "kworker/211:1"),
            f"RIP: 0010:{place}+0x5d/0x1b0",
            "Call Trace:",
            *(f" {function}+0x4d/0x9e" for function in callers),
        ]
    return _log([*lines, *_IDLE_AT_THE_INTERRUPT])


FLEET = [
    IndexedIncident(
        incident_id=f"202611{day:02}T{hour:02}0000Z-{instance}",
        instance_id=instance,
        opened_at=datetime(2026, 11, day, hour, tzinfo=UTC),
        verdict=verdict,
        refusal=reason if verdict == "refused" else "",
        crash_class="nmi-hang" if verdict == "captured" else "",
        signature=SPINNING.signature if verdict == "captured" else "",
        sentence=SPINNING.sentence if verdict == "captured" else reason if verdict != "refused" else "",
        report_key=f"vmcores/123456789012/eu-central-1/{instance}/x/report.html",
    )
    for day, hour, instance, verdict, reason in (
        (23, 5, INSTANCE, "captured", ""),
        (23, 9, "i-0d1e2f3a4b5c6d7e8", "", ""),
        (22, 17, "i-0b7d25f1a0c3e4998", "refused", "instance-responds"),
        (22, 16, "i-0b7d25f1a0c3e4998", "refused", "cooldown"),
        (21, 10, INSTANCE, "captured", ""),
        (19, 3, "i-0c55d1f1a0c3e4123", "panic-no-dump", "The instance restarted, but left no vmcore."),
        (18, 3, "i-0c55d1f1a0c3e4123", "refused", "instance-responds"),
        (17, 10, "i-0b7d25f1a0c3e4998", "captured", ""),
        (3, 10, INSTANCE, "rescued", "It did not come back: its dump was read from a copy of its volume."),
    )
]

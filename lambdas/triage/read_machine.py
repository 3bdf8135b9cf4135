"""Reads the machine from a log: kernel, architecture, hardware, modules, memory. Pure."""

import re

from lambdas.triage.model import Memory, ProcessMemory
from lambdas.triage.printk import Line

# Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) …
_VERSION = re.compile(r"Linux version (\S{1,100})")
# DMI: Amazon EC2 t3.micro, BIOS 1.0 10/16/2017
_DMI = re.compile(r"DMI: (.{1,200})")
# smp: Brought up 1 node, 4 CPUs · x86: Booted up 1 node, 4 CPUs · Brought up 4 CPUs
_CPUS = re.compile(r"(?:smp: |x86: )?(?:Brought|Booted) up (?:\d{1,5} nodes?, )?(\d{1,5}) CPUs")
# Modules linked in: xfs(E) nvme ena(OE) [last unloaded: hang_me]
_MODULES = re.compile(r"Modules linked in:((?: [\w-]{1,64}(?:\([A-Z+-]{1,8}\))?)*)")
_MORE_MODULES = re.compile(
    r" ?[\w-]{1,64}(?:\([A-Z+-]{1,8}\))?(?: [\w-]{1,64}(?:\([A-Z+-]{1,8}\))?)*(?: \[last unloaded: .{0,100}\])?\s*$"
)
_MODULE = re.compile(r"(?<=\s)[\w-]{1,64}")
# printk splits a long record at 976 characters or later and continues in the next record.
_FULL_RECORD = 900
_RELEASE_SUFFIX = re.compile(r"[.-](x86_64|amd64|aarch64|arm64)\b")
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
# Lines that only one architecture prints, at boot or with its registers.
# "Linux version 6.8.0-1019-aws (buildd@host) (x86_64-linux-gnu-gcc-13 …" holds it as well.
_X86 = re.compile(
    r"Linux version .{1,200}\(x86_64-linux-gnu-gcc|BIOS-e820: |x86/|RIP: 00|RAX: [0-9a-f]{16}|Call Trace:"
)
_ARM = re.compile(
    r"Linux version .{1,200}\(aarch64-linux-gnu-gcc|Booting Linux on physical CPU|pstate: [0-9a-f]{8}|pc : "
    r"|x29: [0-9a-f]{16}|CPU features: detected|Call trace:"
)
# Their first letters, and those of the lines about CPUs: a fast check.
_TELLING = (
    *("Linux version ", "BIOS-e820: ", "x86/", "RIP: 00", "RAX: ", "Call ", "Booting Linux", "pstate: ", "pc : "),
    *("x29: ", "CPU features: "),
)
_BRINGING_UP = ("smp: ", "x86: ", "Brought up ", "Booted up ")

# active_anon:126 inactive_anon:484213 isolated_anon:0 (pages) · Node 0 active_anon:504kB inactive_anon:1936852kB …
_COUNT = re.compile(r"\b(\w{2,30}):(\d{1,14})(?!\d)(kB)?")
# The line of a whole node; those of its zones ("Node 0 DMA32 free:…") repeat the same counts.
_NODE = re.compile(r"Node \d{1,5} active_anon:")
_PAGES_OF_RAM = re.compile(r"(\d{1,14}) pages RAM")
# [    777]     0   777   484532   481310  3903488        0             0 stress
# The columns differ between kernels: [  pid  ]   uid  tgid total_vm      rss … oom_score_adj name
_PROCESS_HEADER = re.compile(r"\[ {1,3}pid {1,3}\]((?: +\w{2,20}){3,20}) +name$")
_PROCESS = re.compile(r"\[ {0,8}(\d{1,10})\](?: +-?\d{1,14}){3,20} .{1,40}")
# memory: usage 1048576kB, limit 1048576kB, failcnt 811: a cgroup's, without a Mem-Info
_OF_CGROUP = re.compile(r"memory: usage \d{1,15}kB, limit (?P<limit>\d{1,13})kB, failcnt ")
_COUNTED = re.compile(r"-?[0-9]{1,14}")
_MOST_PROCESSES = 10
_PAGE_BYTES = (4096, 16384, 65536)
# Distributions have some ten thousand modules to load and load some hundred.
_MOST_MODULES = 1024
# A process has 15 characters, a thread of the kernel up to 63. More is the line of another CPU behind it.
_LONGEST_NAME = 64


def kernel_release(lines: list[Line]) -> str:
    """The release in the last boot banner."""
    banners = (line.text for line in reversed(lines) if line.text.startswith("Linux version "))
    return next((match[1] for text in banners if (match := _VERSION.match(text)) is not None), "")


def architecture(release: str, lines: list[Line]) -> str:
    """x86_64, aarch64 or ""."""
    suffix = _RELEASE_SUFFIX.search(release)
    if suffix:
        return _ARCHITECTURES[suffix[1]]
    for line in lines:
        if not line.text.startswith(_TELLING):
            continue
        if _X86.match(line.text):
            return "x86_64"
        if _ARM.match(line.text):
            return "aarch64"
    return ""


def cpu_count(lines: list[Line]) -> int | None:
    """How many CPUs the kernel brought up at boot."""
    last_first = (line.text for line in reversed(lines) if line.text.startswith(_BRINGING_UP))
    return next((int(match[1]) for text in last_first if (match := _CPUS.match(text)) is not None), None)


def hardware(lines: list[Line]) -> str:
    """The firmware's name for the machine, printed at boot."""
    named = (line.text for line in lines if line.text.startswith("DMI: "))
    return next((match[1].strip() for text in named if (match := _DMI.match(text)) is not None), "")


def modules(lines: list[Line]) -> tuple[str, ...]:
    """The last list of modules, without the taint letters."""
    place = next((at for at in range(len(lines) - 1, -1, -1) if "Modules linked in:" in lines[at].text[:24]), None)
    if place is None:
        return ()
    found = _MODULES.match(lines[place].text)
    text = found[1] if found else ""
    while len(lines[place].text) >= _FULL_RECORD and place + 1 < len(lines):
        place += 1
        if not _MORE_MODULES.match(lines[place].text):
            break
        text += " " + lines[place].text.split("[last unloaded")[0]
    return tuple(dict.fromkeys(_MODULE.findall(text)))[:_MOST_MODULES]


def memory(lines: list[Line], *, is_out: bool = False) -> Memory | None:
    """The last Mem-Info, which the out-of-memory killer or sysrq-m print; None without one. `is_out`: a cgroup that was
    out of memory counts too, and its limit is then the total."""
    place = next(
        (
            at
            for at in range(len(lines) - 1, -1, -1)
            if lines[at].text.startswith("Mem-Info:")
            or (is_out and lines[at].text.startswith("memory: usage ") and _OF_CGROUP.match(lines[at].text))
        ),
        None,
    )
    if place is None:
        return None
    cgroup = _OF_CGROUP.match(lines[place].text)
    if cgroup is not None:
        limit_bytes = int(cgroup["limit"]) * 1024
        return Memory(total_bytes=limit_bytes, processes=_processes(lines[place + 1 :], _PAGE_BYTES[0]))
    pages, page_bytes, total = _counts(lines[place + 1 :])

    def bytes_of(*names: str) -> int | None:
        known = [pages[name] for name in names if name in pages]
        return sum(known) * page_bytes if known else None

    return Memory(
        total_bytes=total * page_bytes if total is not None else None,
        free_bytes=bytes_of("free"),
        anonymous_bytes=bytes_of("active_anon", "inactive_anon"),
        file_bytes=bytes_of("active_file", "inactive_file"),
        slab_bytes=bytes_of("slab_reclaimable", "slab_unreclaimable"),
        processes=_processes(lines[place + 1 :], page_bytes),
    )


def _counts(lines: list[Line]) -> tuple[dict[str, int], int, int | None]:
    """Pages by name, the size of a page (the nodes' lines give the same counts in kB), and the pages of RAM."""
    pages: dict[str, int] = {}
    kilobytes: dict[str, int] = {}
    total = None
    for line in lines[:400]:
        found = _PAGES_OF_RAM.match(line.text)
        if found:
            total = int(found[1])
        elif _NODE.match(line.text):
            for name, count, unit in _COUNT.findall(line.text):
                if unit and "active_anon" in name:
                    kilobytes[name] = kilobytes.get(name, 0) + int(count)
        elif not line.text.startswith("Node ") and (not pages or line.text[:1] == " "):
            pages |= {
                name: int(count) for name, count, unit in _COUNT.findall(line.text) if not unit and name not in pages
            }
    for name, kib in kilobytes.items():
        if pages.get(name) and kib:
            page_bytes = min(_PAGE_BYTES, key=lambda size: abs(size - 1024 * kib // pages[name]))
            return pages, page_bytes, total
    return pages, _PAGE_BYTES[0], total


def _processes(lines: list[Line], page_bytes: int) -> tuple[ProcessMemory, ...]:
    found: list[ProcessMemory] = []
    columns: list[str] = []
    for line in lines:
        if not line.text.startswith("["):
            continue
        header = _PROCESS_HEADER.match(line.text)
        if header is not None:
            columns, found = header[1].split(), []
        elif columns and (row := _PROCESS.match(line.text)) is not None and "rss" in columns:
            # A name may hold spaces, and begin with digits.
            values = line.text.partition("]")[2].split(maxsplit=len(columns))
            if len(values) <= len(columns) or not _COUNTED.fullmatch(values[columns.index("rss")]):
                continue
            rss = int(values[columns.index("rss")])
            name = values[-1].strip()[:_LONGEST_NAME]
            found.append(ProcessMemory(name=name, pid=int(row[1]), rss_bytes=max(0, rss) * page_bytes))
    return tuple(sorted(found, key=lambda each: -each.rss_bytes)[:_MOST_PROCESSES])

"""Reads the machine from a log: kernel, architecture, hardware, modules. Pure."""

import re

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
# Distributions have some ten thousand modules to load and load some hundred.
_MOST_MODULES = 1024


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

"""Patterns of serial console lines: kernel boots, and dumps by kdump-tools or dracut's kdump module."""

import re

# [    0.000000] Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) …
BANNER = re.compile(r"Linux version (?P<release>\d\S{0,127})")
# [    0.000000] Command line: BOOT_IMAGE=… elfcorehdr=0x3c000000 …
# An x86 kernel prints both lines, an Arm kernel only `Kernel command line`.
COMMAND_LINE = re.compile(r"(?:^|\] )(?P<name>Command line|Kernel command line): (?P<arguments>.*)", re.MULTILINE)
# Copying data                                      : [ 45.3 %] -           eta: 3s
# Checking for memory holes                         : [100.0 %] |
# Excluding unnecessary pages                       : [  7.1 %] /           eta: 2m5s
# makedumpfile prints each at most once a second, and only while it makes progress. In cyclic mode the last two
# alternate.
STEP = re.compile(
    r"(?P<step>Copying data|Checking for memory holes|Excluding unnecessary pages)"
    r"\s*:\s*\[\s*(?P<percent>\d{1,3}(?:\.\d{1,3})?)\s*%\]"
)
# kdump-tools[217]: running makedumpfile … · kdump[530]: saving vmcore · Saving dump using makedumpfile
DUMPING = re.compile(
    r"kdump-tools\[\d+\]: running makedumpfile|kdump(?:\.sh)?\[\d+\]: saving vmcore\r?$"
    r"|[Ss]aving dump using makedumpfile",
    re.MULTILINE,
)
# kdump-tools[217]: saved vmcore in /var/crash/… · kdump[530]: saving vmcore complete · The dumpfile is saved to …
SAVED = re.compile(
    r"kdump-tools\[\d+\]: saved vmcore in|kdump(?:\.sh)?\[\d+\]: saving vmcore complete|The dumpfile is saved to"
)


# A crash kernel whose dump volume is parked (ssm_documents/park_dump_volume/waiting_files.sh).
# hangdump: waiting for the dump volume, 30 of 1200 s · hangdump: no dump volume within 1200 s: rebooting without a dump
WAITING = re.compile(r"hangdump: waiting for the dump volume, (?P<waited>\d{1,6} of \d{1,6} s)")
GAVE_UP = re.compile(r"hangdump: (?P<why>[^\r\n]{1,200}?): rebooting without a dump")

# Only kexec after a panic says where the crashed kernel's memory is: on the command line, or on Arm in the device tree.
# [    0.000000] OF: fdt: Reserving 1 KiB of memory at 0x6a7fe000 for elfcorehdr
CRASH_KERNEL = re.compile(
    r"(?:^|\] )(?P<said>Command line|Kernel command line|OF: fdt)"
    r": (?:.* )?(?:elfcorehdr=|Reserving \d+ KiB of memory at 0x[0-9a-f]+ for elfcorehdr)",
    re.MULTILINE,
)

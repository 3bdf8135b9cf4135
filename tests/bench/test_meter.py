"""What the meter counts as a client's."""

import sys

import pytest

from bench.meter import ClientFailed, Meter

MIB = 1024 * 1024
# A child holds 40 MiB while its parent, which holds 30, waits for it.
FAMILY = """
import subprocess, sys
held = bytearray(b"x") * (30 * 2**20)
subprocess.run([sys.executable, "-c", "import time; held = bytearray(b'x') * (40 * 2**20); time.sleep(0.3)"])
"""


def test_memory_is_that_of_a_process_and_its_children_together() -> None:
    meter = Meter(samples_memory=True)
    meter.run([sys.executable, "-c", FAMILY])
    usage = meter.usage()
    assert 70 * MIB < usage.peak_pss_bytes < usage.peak_rss_bytes < 130 * MIB


def test_cpu_time_is_that_of_children_too_and_adds_up_over_runs() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    meter = Meter(samples_memory=False)
    meter.run(["sh", "-c", f"{sys.executable} -c '{burn}'; true"])
    once = meter.usage().cpu_seconds
    assert 0.2 <= once < 1
    meter.run([sys.executable, "-c", burn])
    assert meter.usage().cpu_seconds >= once + 0.2
    assert meter.usage().seconds >= 0.4


def test_a_client_that_fails_ends_the_measurement_with_what_it_said() -> None:
    with pytest.raises(ClientFailed, match="no such bucket"):
        Meter(samples_memory=False).run(["sh", "-c", "echo no such bucket >&2; exit 3"])

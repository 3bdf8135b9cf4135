"""A kernel module for the lab's guest, one function a way to crash. Owns its build; what it does is in the C file."""

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def build(headers: Path, directory: Path) -> Path:
    """The module with its debuginfo, against the extracted headers of the guest's kernel; built once a directory."""
    module = directory / "hangdump_crash.ko"
    if not module.exists():
        work = directory.with_suffix(".building")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        for name in ("hangdump_crash.c", "Kbuild"):
            shutil.copy(HERE / name, work)
        # No BTF: it would take the kernel's vmlinux, and nobody reads it.
        done = subprocess.run(
            ["make", "-C", headers, f"M={work}", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"the crash module does not compile:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        subprocess.run(["strip", "--strip-debug", "-o", work / "stripped.ko", work / "hangdump_crash.ko"], check=True)
        shutil.rmtree(directory, ignore_errors=True)
        work.rename(directory)
    return module

"""The mounted file systems."""

import drgn
from drgn.helpers.linux.fs import for_each_mount, mount_dst, mount_fstype, mount_src


def list_mounts(program: drgn.Program) -> list[dict[str, str]]:
    """The mounts of the initial namespace, in the order of mounting."""
    return [
        {
            "device": mount_src(mount).decode(errors="replace"),
            "path": mount_dst(mount).decode(errors="replace"),
            "fileSystem": mount_fstype(mount).decode(errors="replace"),
        }
        for mount in for_each_mount(program)
    ]

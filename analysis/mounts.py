"""The file systems that were mounted."""

import drgn
from drgn.helpers.linux.fs import for_each_mount, mount_dst, mount_fstype, mount_src


def list_mounts(program: drgn.Program) -> list[dict[str, str]]:
    """Of the initial mount namespace, in the order they were mounted."""
    return [
        {
            "device": mount_src(mount).decode(errors="replace"),
            "path": mount_dst(mount).decode(errors="replace"),
            "fileSystem": mount_fstype(mount).decode(errors="replace"),
        }
        for mount in for_each_mount(program)
    ]

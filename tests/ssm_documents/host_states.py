"""Hosts whose owners did something before Hangdump came."""

from tests.ssm_documents.fake_root import FakeRoot

CONFIGURATION = "etc/default/kdump-tools"
GRUB_D = "etc/default/grub.d/kdump-tools.cfg"


def install_kdump(root: FakeRoot) -> None:
    """As its owner installed it earlier, with its own settings."""
    root.write("var/lib/dpkg/installed", "initramfs-tools-core\nkdump-tools\nmakedumpfile\n")
    root.install("makedumpfile")
    root.write(GRUB_D, 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=384M-:128M"\n')
    root.write("units/kdump-tools.service", "enabled\n")
    root.write(
        CONFIGURATION,
        '# our settings\nUSE_KDUMP=0\nKDUMP_DUMP_DMESG=3\nKDUMP_COREDIR="/srv"\nKDUMP_COREDIR=/x\nMAKEDUMP_ARGS="-c"\n',
    )

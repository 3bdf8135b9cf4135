"""Makes the lab's Debian guest look like a RHEL-like host whose kernels grub2-mkconfig lists (EL7, Amazon Linux 2, EL9
without BLS): os-release, rpm, dnf, grub2-mkconfig, and a kdumpctl of our own, whose header says what this proves.
"""

import base64
import io
import tarfile
from pathlib import Path

from lab.guest import QemuGuest

_HERE = Path(__file__).parent


def become_redhat(guest: QemuGuest) -> None:
    """Once, on a fresh guest. Installs nothing of kdump: that is for the documents to do."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(_HERE / "files", arcname=".")
    script = (_HERE / "become_redhat.sh").read_text()
    files = base64.b64encode(packed.getvalue()).decode()
    done = guest.run(script, environment={"FILES": files}, timeout_seconds=300)
    assert done.exit_code == 0, done.stderr

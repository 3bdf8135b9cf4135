# Part of the stand-in kdumpctl, as the real one has a file of this name: read by kdump.sh in the crash kernel.

# Of a device, or of a tag such as LABEL=…: where it is mounted, or where the initramfs' fstab would have it.
get_mntpoint_from_target() {
  findmnt -k -n -r -o TARGET --source "$1" || findmnt -s -n -r -o TARGET --source "$1"
}

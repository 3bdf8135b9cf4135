#!/bin/bash
# First process of a real root's namespaces: enter.sh TREES CHANGES ROOT_DEVICE DUMP_DEVICE STAGE. It mounts the trees (directories, the
# topmost first, with a colon between) with what is written going to CHANGES, hides this machine's kernel behind files,
# prints the release of the root's kernel, and stays until its stdin is closed. All mounts end with it.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
readonly HERE
# Read by the real tools; not what they are asked about. All else of /proc/sys/kernel is written by the test.
readonly SAME_AS_THIS_MACHINE="cap_last_cap hostname domainname ngroups_max ostype pid_max printk threads-max version"

# As udev would name them on EC2. Partitions are shown by the stand-in for udevadm.
make_devices() {
    local device
    mount -t tmpfs -o mode=755,nosuid tmpfs /dev
    mkdir /dev/shm /dev/pts
    for device in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
        # shellcheck disable=SC2086 # three words
        mknod -m 666 /dev/${device%% *} c ${device#* }
    done
    ln -s /proc/self/fd /dev/fd
    ln -s fd/0 /dev/stdin
    ln -s fd/1 /dev/stdout
    ln -s fd/2 /dev/stderr
    : >/dev/console
}

# make_disk NAME NUMBER
make_disk() { mknod -m 660 "/dev/$1" b "${2%:*}" "${2#*:}"; }

number_of() { cat "/sys/class/block/${1#/dev/}/dev"; }

# Nothing in /proc can be written, but for the files that are put over it: a sysctl never reaches this machine.
hide_kernel() {
    local root=$1 fakes=$1/.kernel key file
    mkdir -p "$fakes" "$root/.sysfs"
    mount -t sysfs -o ro sysfs "$root/.sysfs"
    mount -t tmpfs -o mode=755 tmpfs "$root/sys"
    mount -t proc -o ro proc "$root/proc"
    mount -t tmpfs -o mode=755 tmpfs "$fakes"
    mkdir -p "$fakes/kernel/random"
    for key in $SAME_AS_THIS_MACHINE; do cat "/proc/sys/kernel/$key" >"$fakes/kernel/$key"; done
    echo "$2" >"$fakes/kernel/osrelease"
    mount --bind "$fakes/kernel" "$root/proc/sys/kernel"
    for file in cmdline meminfo stat swaps; do
        cat "/proc/$file" >"$fakes/$file"
        mount --bind "$fakes/$file" "$root/proc/$file"
    done
}

# That of kexec is a diversion, because the package is still to come.
put_stand_ins() {
    local root=$1 tool path
    mkdir -p "$root/.real"
    chroot "$root" dpkg-divert --quiet --local --rename --divert /.real/kexec --add /sbin/kexec
    cp "$HERE/stand_ins/kexec" "$root/sbin/kexec"
    for tool in systemctl udevadm uname; do
        path=$(chroot "$root" readlink -f "/usr/bin/$tool")
        cp "$root$path" "$root/.real/$tool"
        mount --bind "$HERE/stand_ins/$tool" "$root$path"
    done
}

main() {
    local trees=$1 changes=$2 stage=$5 kernel
    mkdir -p "$stage" "$changes/upper" "$changes/work"
    make_devices
    # Of the root's own device only the superblock is read, of its disk nothing.
    make_disk nvme0n1 259:1000
    make_disk nvme0n1p1 "$(number_of "$3")"
    make_disk nvme1n1 "$(number_of "$4")"
    mount -t overlay -o "lowerdir=$trees,upperdir=$changes/upper,workdir=$changes/work,redirect_dir=on" /dev/nvme0n1p1 "$stage"
    kernel=$(basename "$stage"/boot/vmlinuz-*)
    kernel=${kernel#vmlinuz-}
    mount -t tmpfs -o mode=755,nosuid tmpfs "$stage/run"
    mkdir -p "$stage/run/lock" "$stage/run/systemd/system"
    hide_kernel "$stage" "$kernel"
    mount --move /dev "$stage/dev"
    put_stand_ins "$stage"
    cd "$stage"
    mkdir -p .outside
    pivot_root . .outside
    umount -l .outside
    rmdir .outside
    echo "$kernel"
    exec bash -c 'read -r _ || true'
}

main "$@"

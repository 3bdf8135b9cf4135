#!/bin/sh
# Runs in the guest, for a hardened variant: what guides for hardening and databases put into sysctl.d, a quarter of memory as
# huge pages among it. The crash kernel, which has far less memory, must not apply them.
set -eu
pages=$(awk '$1 == "MemTotal:" { total = $2 } $1 == "Hugepagesize:" { print int(total / 4 / $2) }' /proc/meminfo)
cat > /etc/sysctl.d/60-hardening.conf << SYSCTLS
fs.protected_fifos = 2
fs.protected_hardlinks = 1
fs.protected_regular = 2
fs.protected_symlinks = 1
fs.suid_dumpable = 0
kernel.core_pattern = |/bin/false
kernel.dmesg_restrict = 1
kernel.kptr_restrict = 1
kernel.perf_event_paranoid = 3
kernel.randomize_va_space = 2
kernel.sysrq = 0
kernel.unprivileged_bpf_disabled = 1
kernel.yama.ptrace_scope = 1
net.core.bpf_jit_harden = 2
net.ipv4.conf.all.rp_filter = 1
net.ipv4.tcp_syncookies = 1
vm.nr_hugepages = $pages
vm.overcommit_memory = 0
SYSCTLS
sysctl --quiet --load=/etc/sysctl.d/60-hardening.conf

#!/bin/bash
# Stub: what every kdumpctl does; it decides and refuses as the real one, in the same order and with the same words.
# shellcheck disable=SC2034,SC2154 # OPTIONS and REFUSES are set by the kdumpctl that sources this
echo "kdumpctl $*" >>"$HOST_ROOT/calls"
CONF="$HOST_ROOT/etc/kdump.conf"
INITRD="$HOST_ROOT/boot/initramfs-$(cat "$HOST_ROOT/proc/sys/kernel/osrelease")kdump.img"
TARGETS="raw ext2 ext3 ext4 minix btrfs xfs nfs ssh virtiofs"

say() { echo "kdump: $*" >&2; }

read_conf() { grep -Ev '^[[:space:]]*(#|$)' "$CONF" | sed -E 's/[[:space:]]*#.*$//'; }

conf_value() { read_conf | awk -v option="$1" '$1 == option { $1 = ""; sub(/^ /, ""); value = $0 } END { print value }'; }

check_config() {
  local option value seen=" " targets=0
  if [[ "$REFUSES" == *blanks* ]] && grep -Eq '^[[:blank:]]+[a-z]' "$CONF"; then
    say "No whitespaces are allowed before a kdump option name in /etc/kdump.conf"
    return 1
  fi
  while read -r option value; do
    if [[ " $OPTIONS " != *" $option "* ]]; then
      say "Invalid kdump config option $option"
      return 1
    fi
    if [[ -z "$value" ]]; then
      say "Invalid kdump config value for option '$option'"
      return 1
    fi
    if [[ " $TARGETS " == *" $option "* ]] || [[ "$option" == dracut_args && "$value" == *--mount* ]]; then
      targets=$((targets + 1))
    fi
    if ((targets > 1)); then
      say "More than one dump targets specified"
      return 1
    fi
    # The old name of the same option, where both are known.
    if [[ "$option" == default && " $OPTIONS " == *" failure_action "* ]]; then option=failure_action; fi
    if [[ "$REFUSES" == *duplicates* && "$seen" == *" $option "* ]]; then
      say "Duplicated kdump config value of option $option"
      return 1
    fi
    seen="$seen$option "
    if ! check_action "$option" "$value"; then return 1; fi
  done < <(read_conf)
}

check_action() {
  case "$1:$2" in
    default:reboot | default:halt | default:poweroff | default:shell | default:dump_to_rootfs) ;;
    failure_action:reboot | failure_action:halt | failure_action:poweroff | failure_action:shell | failure_action:dump_to_rootfs) ;;
    final_action:reboot | final_action:halt | final_action:poweroff) ;;
    default:* | failure_action:* | final_action:*)
      say "Usage kdump.conf: $1 {reboot|halt|poweroff|...}, not $2"
      return 1
      ;;
  esac
}

# mkdumprd's checks: type, mounted, path on the target.
check_target() {
  local type device path node point=""
  read -r type device < <(read_conf | grep -E '^(ext[234]|xfs) ')
  path="$(conf_value path)"
  path="${path:-/var/crash}"
  # dracut is to mount it: nobody asks for the disk.
  if [[ "$(conf_value dracut_args)" == *--mount* ]]; then return 0; fi
  if [[ -z "$type" ]]; then
    [[ -d "$HOST_ROOT$path" ]] && return 0
    say "Dump path $path does not exist."
    return 1
  fi
  node="$(basename "$(grep -lsx "$device" "$HOST_ROOT"/signatures/* | head -n 1)")"
  if [[ -n "$node" ]] && ! grep -qx "TYPE=$type" "$HOST_ROOT/signatures/$node"; then
    say "\"$device\" have a wrong type config \"$type\", expected \"$(sed -n 's/^TYPE=//p' "$HOST_ROOT/signatures/$node")\""
    return 1
  fi
  if [[ -n "$node" ]]; then
    point="$(awk -v device="$(cat "$HOST_ROOT"/sys/block/*/"$node"/dev)" '$3 == device { print $5 }' "$HOST_ROOT/proc/self/mountinfo" | tail -n 1)"
  fi
  if [[ -z "$point" ]]; then
    say "Dump target \"$device\" is neither mounted nor configured as \"noauto\""
    return 1
  fi
  if [[ ! -d "$HOST_ROOT$point/$path" ]]; then
    say "Dump path \"$path\" does not exist in dump target \"$device\""
    return 1
  fi
}

rebuild_initrd() {
  say "Rebuilding ${INITRD#"$HOST_ROOT"}"
  if [[ -e "$HOST_ROOT/dracut-fails" ]] || ! check_target; then
    say "mkdumprd: failed to make kdump initrd"
    return 1
  fi
  { echo "modules: ${KDUMP_MODULES:-nvme xfs}"; read_conf; } >"$INITRD"
}

rebuild() { check_config && rebuild_initrd; }

# Asked as soon as there is an initramfs.
check_hook() {
  local hook
  hook="$(conf_value kdump_pre)"
  if [[ -z "$hook" ]]; then return 0; fi
  [[ -e "$HOST_ROOT$hook" ]] || { say "Error: $hook not found." && return 1; }
  [[ -x "$HOST_ROOT$hook" ]] || { say "Error: $hook is not executable." && return 1; }
}

is_current() {
  local file
  [[ -f "$INITRD" ]] || return 1
  for file in "$CONF" "$HOST_ROOT/etc/fstab" "$HOST_ROOT$(conf_value kdump_pre)"; do
    if [[ -f "$file" && "$file" -nt "$INITRD" ]]; then return 1; fi
  done
}

# Reservation, configuration, running already, initramfs, in this order.
start() {
  if (($(cat "$HOST_ROOT/sys/kernel/kexec_crash_size") == 0)); then
    say "No memory reserved for crash kernel"
  elif check_config; then
    if (($(cat "$HOST_ROOT/sys/kernel/kexec_crash_loaded") == 1)); then
      say "Kdump already running: [WARNING]"
      exit 0
    fi
    if check_hook && { is_current || rebuild_initrd; }; then
      echo 1 >"$HOST_ROOT/sys/kernel/kexec_crash_loaded"
      say "Starting kdump: [OK]"
      exit 0
    fi
  fi
  say "Starting kdump: [FAILED]"
  exit 1
}

# With kernel.kexec_load_disabled the kernel refuses this, too.
stop() {
  if [[ -e "$HOST_ROOT/kdumpctl-stop-fails" ]]; then
    say "kexec: failed to unload kdump kernel"
    exit 1
  fi
  echo 0 >"$HOST_ROOT/sys/kernel/kexec_crash_loaded"
}

status() {
  (($(cat "$HOST_ROOT/sys/kernel/kexec_crash_loaded") == 1)) && say "Kdump is operational" && exit 0
  say "Kdump is not operational"
  exit 3
}

# What the tool would recommend can be set by a test; the real one sums up kernel, modules, three initramfs and 16M.
estimate() {
  check_config || exit 1
  [[ -f "$INITRD" && ! "$CONF" -nt "$INITRD" ]] || rebuild_initrd || exit 1
  cat <<TEXT
Reserved crashkernel:    $(($(cat "$HOST_ROOT/sys/kernel/kexec_crash_size") >> 20))M
Recommended crashkernel: $(cat "$HOST_ROOT/recommended-mib" 2>/dev/null || echo 192)M

Kernel image size:   60M
Kernel modules size: 9M
Initramfs size:      28M
Runtime reservation: 16M
Large modules: <none>
TEXT
}

# EL10's. EL9's begins at 1G, with 192M on x86_64; so did that of kdump-utils until 1.0.51 (Amazon Linux 2023).
default_crashkernel() {
  case "$(uname -m):$(cat "$HOST_ROOT/proc/sys/kernel/osrelease")" in
    aarch64:*.amzn2023.*) printf '%s' "1G-4G:256M,4G-64G:320M,64G-:576M" ;;
    aarch64:*) printf '%s' "2G-4G:256M,4G-64G:320M,64G-:576M" ;;
    *.el9* | *.amzn2023.*) printf '%s' "1G-4G:192M,4G-64G:256M,64G-:512M" ;;
    *) printf '%s' "2G-64G:256M,64G-:512M" ;;
  esac
}

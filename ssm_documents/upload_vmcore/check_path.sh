#!/bin/bash
# Checks which path may be sent or removed.

# /127.0.0.1-2026-11-23-04:00:00/vmcore is RHEL's when it had to dump to the root file system. Host paths carry the root
# prefix; what is reported and taken as a parameter does not.
check_path_is_dump() {
  [[ "$SSM_vmcorePath" != none ]] || fail InvalidParameter "vmcorePath is missing; the action find reports it."
  if [[ "$SSM_vmcorePath" =~ ^/127\.0\.0\.1-[0-9:-]+/vmcore(-incomplete)?$ ]]; then return 0; fi
  if [[ "$SSM_vmcorePath" != "$SSM_mountPoint"/*/* ]] || [[ ! "${SSM_vmcorePath##*/}" =~ ^(dump|vmcore) ]]; then
    fail InvalidParameter "vmcorePath $SSM_vmcorePath is no dump in a directory below $SSM_mountPoint."
  fi
}

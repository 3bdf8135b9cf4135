#!/bin/bash
# Refuses to hang anything but the twin. All that it believes comes from the metadata service: user data can be changed
# only of a stopped instance, and neither id nor launch time at all.
METADATA="http://169.254.169.254/latest"
LONGEST_LIFE_SECONDS=3600

# --noproxy: a proxy of the image's environment would answer for another machine.
metadata() { curl --noproxy '*' -fsS --max-time 10 -H "X-aws-ec2-metadata-token: $METADATA_TOKEN" "$METADATA/$1"; }

read_metadata() {
  METADATA_TOKEN="$(curl --noproxy '*' -fsS --max-time 10 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$METADATA/api/token")" ||
    fail HangRefused "The metadata service gives no token (IMDSv2), so nothing proves that this is the twin of a drill."
  OWN_ID="$(metadata meta-data/instance-id)" || fail HangRefused "The metadata service does not say which instance this is."
  USER_DATA="$(metadata user-data)" || fail HangRefused "This instance has no user data, so no drill launched it."
  IDENTITY="$(metadata dynamic/instance-identity/document)" || fail HangRefused "The metadata service does not say when this instance was launched."
}

# "pendingTime" : "2026-11-30T17:11:57Z"
launched_epoch() {
  local pattern='"pendingTime" *: *"([0-9T:Z-]+)"'
  [[ "$IDENTITY" =~ $pattern ]] && date -u -d "${BASH_REMATCH[1]}" +%s
}

require_twin() {
  local launched age
  read_metadata
  [[ "$OWN_ID" == "$SSM_instanceId" ]] || fail HangRefused "This is $OWN_ID, not $SSM_instanceId."
  [[ "$SSM_token" != none ]] || fail HangRefused "No token was given, so nothing proves that a drill asks for it."
  grep -qxF "# hangdump-drill $SSM_token" <<<"$USER_DATA" || fail HangRefused "This drill did not launch $OWN_ID: its token is not in the user data."
  launched="$(launched_epoch)" || fail HangRefused "The metadata service does not say when $OWN_ID was launched."
  age=$(($(date +%s) - launched))
  ((age >= -60 && age < LONGEST_LIFE_SECONDS)) || fail HangRefused "$OWN_ID was launched $age s ago; a twin is hung within $LONGEST_LIFE_SECONDS s of its launch."
}

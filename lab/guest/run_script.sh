# Runs in the guest, with the script on its standard input: as the SSM agent does, a real file run by `sh -c <file>`.
umask 077
directory=$(mktemp -d /var/lib/hangdump-lab.XXXXXX) || exit 1
cat > "$directory/_script.sh"
chmod 700 "$directory/_script.sh"
cd "$directory" || exit 1
umask 022
sh -c "$directory/_script.sh" < /dev/null
status=$?
cd /
rm -rf "$directory"
exit "$status"

#!/bin/bash
# Owns the quick way to the digests, for hosts that have a Python 3: no pipe between the file and OpenSSL, whose two
# copies cost as much as the hashing itself. Who has none goes the way of describe_parts.sh; the lines are the same.

# RHEL 8 and later have one of their own for dnf, also where no python3 is installed.
python_of_host() { command -v python3 || command -v /usr/libexec/platform-python; }

# hash_parts PYTHON FILE FIRST OFFSET END PART_BYTES: a line a part, in any order. hashlib lets other threads run meanwhile.
hash_parts() {
  "$1" -I - "${@:2}" "$SSM_parallelism" <<'PYTHON'
import base64, hashlib, sys, threading

path = sys.argv[1]
first, offset, end, part_bytes, jobs = map(int, sys.argv[2:])
parts = iter(range(-(-(end - offset) // part_bytes)))
lock = threading.Lock()
problems = []

def describe(source, buffer, index):
    begin = offset + index * part_bytes
    left = length = min(part_bytes, end - begin)
    digest = hashlib.sha256()
    source.seek(begin)
    while left:
        count = source.readinto(buffer[: min(left, len(buffer))])
        if not count:
            raise EOFError("the file ends early")
        digest.update(buffer[:count])
        left -= count
    text = base64.b64encode(digest.digest()).decode()
    with lock:
        sys.stdout.write("%d\t%d\t%s\n" % (first + index, length, text))

def work():
    try:
        buffer = memoryview(bytearray(1 << 18))
        with open(path, "rb", buffering=0) as source:
            while not problems:
                with lock:
                    index = next(parts, None)
                if index is None:
                    return
                describe(source, buffer, index)
    except Exception as problem:
        problems.append(problem)

threads = [threading.Thread(target=work) for _ in range(jobs)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if problems:
    sys.exit("%s: %s" % (path, problems[0]))
PYTHON
}

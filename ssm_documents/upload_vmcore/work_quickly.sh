#!/bin/bash
# The fast path of a round, for hosts with a Python 3: one process hashes the next batch without a pipe to OpenSSL, and the
# kernel moves each part from the file into curl's pipe, where dd would copy it twice. It tries everything once;
# describe_parts.sh and send_parts.sh do the rest, with retries.

# RHEL 8 and later have a Python of their own for dnf, even without the package python3.
python_of_host() { command -v python3 || command -v /usr/libexec/platform-python; }

# work_quickly FILE: appends one line per part to `described` (in any order) and to `sent`.
work_quickly() {
  local python
  python="$(python_of_host)" || return 0
  "$python" -IS - "$1" "$WORK_DIR" "$SSM_parallelism" <<'PYTHON' || log "note: the quick way ended with $?"
import binascii, os, sys, threading

path, work, jobs = sys.argv[1], sys.argv[2], int(sys.argv[3])
CURL = ["curl"] + os.environ["CURL_OPTIONS"].split() + ["--upload-file", "-"]
lock = threading.Lock()

def lines_of(name):
    with open(os.path.join(work, name)) as lines:
        return [line.rstrip("\n").split("\t") for line in lines]

# Each import takes ten milliseconds, and a round may need only one.
batches, parts = lines_of("describe"), lines_of("parts")
if batches:
    import hashlib
if parts:
    import subprocess

def note(name, *fields):
    # One write per line, so that no line is truncated if this process dies.
    file = os.open(os.path.join(work, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, ("\t".join(map(str, fields)) + "\n").encode())
    os.close(file)

def to_describe():
    for _, first, offset, length, part_bytes, _ in batches:
        begin, end, size = int(offset), int(offset) + int(length), int(part_bytes)
        for index, start in enumerate(range(begin, end, size)):
            yield int(first) + index, start, min(size, end - start)

def describe(source, number, offset, length):
    digest, buffer, left = hashlib.sha256(), memoryview(bytearray(1 << 18)), length
    source.seek(offset)
    while left:
        count = source.readinto(buffer[: min(left, len(buffer))])
        if not count:
            raise EOFError
        digest.update(buffer[:count])
        left -= count
    note("described", number, length, binascii.b2a_base64(digest.digest()).decode().strip())

def pour(source, pipe, offset, length):
    while length:
        count = os.sendfile(pipe, source.fileno(), offset, length)
        if not count:
            raise EOFError
        offset, length = offset + count, length - count

def send(source, kind, number, offset, length, digest, url):
    headers = ("Content-Length: " + length, "x-amz-checksum-sha256: " + digest)
    config = 'url = "%s"\n' % url + "".join('header = "%s"\n' % header for header in headers)
    secret, end = os.pipe()
    os.write(end, config.encode())
    os.close(end)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "pass_fds": [secret]}
    with subprocess.Popen(CURL + ["--config", "/dev/fd/%d" % secret], bufsize=0, **pipes) as curl:
        os.close(secret)
        try:
            pour(source, curl.stdin.fileno(), int(offset), int(length))
        except BrokenPipeError:
            pass  # curl has its answer already
        except Exception:
            curl.kill()
            raise
        curl.stdin.close()
        answer = curl.stdout.read().decode()
    if not answer.startswith("2"):
        raise OSError("%s %s: HTTP %s" % (kind, number, answer))
    note("sent", number, length)

def workers(items, work_on):
    failed = []
    def work_off():
        try:
            with open(path, "rb", buffering=0) as source:
                while not failed:
                    with lock:
                        item = next(items, None)
                    if item is None:
                        return
                    work_on(source, *item)
        except Exception as problem:
            failed.append(problem)
            sys.stderr.write("%s: %s\n" % (type(problem).__name__, problem))
    return [threading.Thread(target=work_off) for _ in range(jobs)]

threads = workers(to_describe(), describe) + workers(iter(parts), send)
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
PYTHON
}

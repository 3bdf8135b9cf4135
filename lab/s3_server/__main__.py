"""`python -m lab.s3_server`: the server as a process of its own. Prints its port, serves until it is killed."""

import argparse
import sys
from pathlib import Path

from analysis.command_line import run
from lab.s3_server.credentials import Credentials
from lab.s3_server.server import SMALLEST_PART_BYTES, S3Server


def main() -> None:
    default = Credentials()
    parser = argparse.ArgumentParser(prog="python -m lab.s3_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--bucket", action="append", dest="buckets", required=True, help="may be given several times")
    parser.add_argument("--directory", type=Path, help="where objects are kept; a temporary one by default")
    parser.add_argument("--discard", action="store_true", help="keep sizes and checksums, drop bodies over 1 MiB")
    parser.add_argument("--smallest-part-bytes", type=int, default=SMALLEST_PART_BYTES)
    parser.add_argument("--answer-seconds", type=float, default=0.0, help="how long each answer is on its way")
    parser.add_argument("--access-key-id", default=default.access_key_id)
    parser.add_argument("--secret-access-key", default=default.secret_access_key)
    parser.add_argument("--session-token")
    given = parser.parse_args()
    server = S3Server(
        *given.buckets,
        credentials=Credentials(given.access_key_id, given.secret_access_key, given.session_token),
        directory=given.directory,
        port=given.port,
        is_discarding=given.discard,
        smallest_part_bytes=given.smallest_part_bytes,
    )
    server.faults.answer_seconds = given.answer_seconds
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(run(main))

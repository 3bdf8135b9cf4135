"""Fetches the debuginfo of one build from debuginfod servers, by its build id. Standard library only."""

import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

# A server may have to unpack a kernel's package first, which takes minutes.
_ANSWER_SECONDS = 600


def servers(environment_value: str) -> list[str]:
    """The http and https servers of DEBUGINFOD_URLS, which is separated by spaces."""
    return [url.rstrip("/") for url in environment_value.split() if url.startswith(("http://", "https://"))]


def fetch_debuginfo(urls: Sequence[str], build_id: str, cache: Path) -> tuple[Path | None, list[str]]:
    """The file, and the servers' errors. Cached as elfutils does: <build id>/debuginfo."""
    target = cache / build_id / "debuginfo"
    if target.exists():
        return target, []
    refusals = []
    for url in urls:
        try:
            _download(f"{url}/buildid/{build_id}/debuginfo", target)
        except (OSError, ValueError) as error:  # URLError and HTTPError are OSErrors
            refusals.append(f"{url}: {error}")
        else:
            return target, refusals
    return None, refusals


def _download(url: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    request = urllib.request.Request(url, headers={"User-Agent": "hangdump"})  # noqa: S310 - servers() lets http(s) through
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer, unfinished.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(answer, file, 1 << 20)
            expected = answer.headers.get("Content-Length")
            if expected is not None and file.tell() != int(expected):
                raise OSError(f"cut short after {file.tell()} of {expected} bytes")
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)

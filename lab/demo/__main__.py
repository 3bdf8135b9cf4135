"""`make demo`: one command from a hung kernel to a proven vmcore. options.py has the options."""

import sys
import tempfile
from pathlib import Path

from analysis.command_line import run
from lab.demo import options
from lab.demo.results import Results


def main() -> int:
    """0 when everything held. Raises what did not hold, with where to look."""
    given = options.parse()
    # These take seconds to import, which neither --help nor a wrong value should.
    from rich.console import Console  # noqa: PLC0415

    from lab.demo.drill_story import DrillStory  # noqa: PLC0415
    from lab.demo.stage import check_host  # noqa: PLC0415
    from lab.demo.story import Story  # noqa: PLC0415
    from lab.demo.summary import summarize  # noqa: PLC0415
    from lab.demo.timeline import Timeline  # noqa: PLC0415

    check_host()
    results = Results(given.results) if given.results else Results.of_a_new_run()
    console = Console(highlight=False, soft_wrap=True)
    timeline = Timeline(console)
    try:
        with tempfile.TemporaryDirectory(prefix="hangdump-demo-") as scratch:
            story = DrillStory if given.is_drill else Story
            outcome = story(timeline, results, Path(scratch), given.variant).run()
    except BaseException as error:  # Ctrl-C as well
        error.add_note(f"Look at {results.folder}/console.log and {results.folder}/executions/.")
        raise
    summarize(console, outcome, results, total_seconds=timeline.elapsed_seconds)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))

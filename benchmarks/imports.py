"""What importing the package costs, over importing psycopg, which every caller imports anyway.

benchmarks/README.md says what each figure means.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

import click

FLOOR = "psycopg"
PACKAGE = "pycharter_sql"
WAYS = {
    FLOOR: "import psycopg",
    PACKAGE: "from pycharter_sql import *",
    # Which only an operator needs.
    "migrations": "import pycharter_sql.migrations",
    "command line": "import pycharter_sql.cli",
}

# The processor's time of this process, from the statements' start to their end.
PROGRAM = """
import time
start = time.process_time()
{}
print(time.process_time() - start)
"""


@click.command()
@click.option("--times", default=41, show_default=True, help="How often each is imported.")
@click.option("--at-most", type=float, help="Exit with 1 where the package costs more than this.")
def main(times: int, at_most: float | None) -> None:
    """Import each in a fresh process, in turns."""
    for way in WAYS:
        _seconds(way)  # which writes the bytecode
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(times):
        for way, seconds in taken.items():
            seconds.append(_seconds(way))
    floor = median(taken[FLOOR])
    click.echo(f"Python {sys.version.split()[0]}; processor time over that of importing psycopg")
    for way, seconds in taken.items():
        click.echo(f"  {way:18} {median(seconds) / floor:6.2f}   {1000 * median(seconds):.1f} ms")
    ratio = median(taken[PACKAGE]) / floor
    if at_most is not None and ratio > at_most:
        sys.exit(f"{PACKAGE} costs {ratio:.2f} times importing psycopg, more than {at_most}")


def _seconds(way: str) -> float:
    # Isolated: nothing but what is installed.
    command = [sys.executable, "-I", "-c", PROGRAM.format(WAYS[way])]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()

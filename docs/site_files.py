"""Gives the site the paths of the repository, so that a link holds on both as it stands.

A hook of MkDocs, which by itself knows nothing but docs/:
https://www.mkdocs.org/user-guide/configuration/#hooks
"""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
# The pages, and what they link to.
PATTERNS = (
    "*.md",
    "docs/*.md",
    "docs/site_files.py",
    "benchmarks/README.md",
    "pycharter_sql/contract-document.schema.json",
    "sql/schema.sql",
    "tests/test_docs.py",
    "tests/test_sql.py",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The theme's own files, and those of the repository that are listed here."""
    theirs = [file for file in files if not (file.abs_src_path or "").startswith(config.docs_dir)]
    ours = [
        File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path))
        for pattern in PATTERNS
        for path in sorted(ROOT.glob(pattern))
    ]
    return Files([*theirs, *ours])

"""Where documents come from: files and directories, and old PyCharter databases -> raw documents."""

from pycharter_sql.sources.database import read_database
from pycharter_sql.sources.files import read_files, size

__all__ = ["read_database", "read_files", "size"]

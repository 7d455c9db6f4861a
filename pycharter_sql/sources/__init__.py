"""Where documents come from: files and directories, and old PyCharter databases -> raw documents."""

from pycharter_sql.sources.database import read_database
from pycharter_sql.sources.files import read, size

__all__ = ["read", "read_database", "size"]

"""Where documents come from: files and directories -> raw documents."""

from pycharter_sql.sources.files import read, size

__all__ = ["read", "size"]

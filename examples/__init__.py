"""Small legacy metadata that `pycharter-sql demo` loads."""

"""A data-contract catalogue in PostgreSQL."""

__version__ = "0.1.0.dev2"

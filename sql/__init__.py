"""The catalogue's SQL: migrations/ is the source, schema.sql the snapshot generated from it."""

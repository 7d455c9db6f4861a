DROP TABLE migration_objects;
DROP TABLE migration_files;
DROP FUNCTION refuse_dependents(text[]);
DROP FUNCTION refuse_data_loss(regclass[]);
DROP FUNCTION refuse_other_tables(name);
DROP FUNCTION set_updated();
DROP FUNCTION version_sort_key(text);
DROP FUNCTION uuid_v7();

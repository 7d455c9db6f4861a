SELECT refuse_dependents(
    'contract_fields', 'pii_names(jsonb)', 'type_names(jsonb)', 'schema_fields(jsonb)',
    'plain_property(jsonb, jsonb)', 'reference_path(text)', 'required_names(jsonb)', 'path_within(text, text, text)',
    'subschemas(jsonb)'
);
DROP VIEW contract_fields;
DROP FUNCTION pii_names(jsonb);
DROP FUNCTION type_names(jsonb);
DROP FUNCTION schema_fields(jsonb);
DROP FUNCTION plain_property(jsonb, jsonb);
DROP FUNCTION reference_path(text);
DROP FUNCTION required_names(jsonb);
DROP FUNCTION path_within(text, text, text);
DROP FUNCTION subschemas(jsonb);

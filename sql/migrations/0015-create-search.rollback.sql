SELECT refuse_dependents(
    'fields_named(text)', 'search_contracts(text, integer)', 'begins_with(text, text)', 'schema_search_vector(jsonb)',
    'field_lexeme(text)', 'search_vector(text[])', 'split_capitals(text)', 'split_punctuation(text)'
);
DROP FUNCTION fields_named(text);
DROP FUNCTION search_contracts(text, integer);
DROP FUNCTION begins_with(text, text);
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX
    domains_search_vector_idx,
    data_feeds_search_vector_idx,
    teams_search_vector_idx,
    business_owners_search_vector_idx,
    systems_search_vector_idx,
    ownership_search_vector_idx,
    metadata_record_search_vector_idx,
    schemas_schema_search_vector_idx,
    data_contracts_search_vector_idx;
DROP FUNCTION schema_search_vector(jsonb);
DROP FUNCTION field_lexeme(text);
DROP FUNCTION search_vector(text[]);
DROP FUNCTION split_capitals(text);
DROP FUNCTION split_punctuation(text);

SELECT refuse_dependents(
    'contract_diff(text, text, text)', 'contract_parts(uuid)', 'json_diff(jsonb, jsonb, text)'
);
DROP FUNCTION contract_diff(text, text, text);
DROP FUNCTION contract_parts(uuid);
DROP FUNCTION json_diff(jsonb, jsonb, text);

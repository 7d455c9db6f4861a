SELECT refuse_dependents(
    'changed_keys(jsonb, jsonb)', 'comparable_after(text, jsonb, jsonb)', 'comparable(text, jsonb)',
    'contract_document(uuid)', 'contract_documents', 'domain_item(uuid)', 'list_items(jsonb)', 'item_name(jsonb)'
);
DROP FUNCTION changed_keys(jsonb, jsonb);
DROP FUNCTION comparable_after(text, jsonb, jsonb);
DROP FUNCTION comparable(text, jsonb);
DROP FUNCTION contract_document(uuid);
DROP VIEW contract_documents;
DROP FUNCTION domain_item(uuid);
DROP FUNCTION list_items(jsonb);
DROP FUNCTION item_name(jsonb);

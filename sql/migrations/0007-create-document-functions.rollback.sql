DROP FUNCTION changed_keys(jsonb, jsonb);
DROP FUNCTION comparable_after(text, jsonb, jsonb);
DROP FUNCTION comparable(text, jsonb);
DROP FUNCTION contract_document(uuid);
DROP VIEW contract_documents;
DROP FUNCTION domain_item(uuid);
DROP FUNCTION list_items(jsonb);
DROP FUNCTION item_name(jsonb);

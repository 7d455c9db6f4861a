DROP FUNCTION changed_keys(jsonb, jsonb);
DROP FUNCTION document_content(jsonb);
DROP FUNCTION contract_document(uuid);
DROP FUNCTION domain_item(uuid);
DROP FUNCTION system_item(uuid);
DROP FUNCTION named_item(text, jsonb);
DROP FUNCTION list_items(jsonb);
DROP FUNCTION item_name(jsonb);

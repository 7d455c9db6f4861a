DROP FUNCTION get_contracts(text[], text[]);

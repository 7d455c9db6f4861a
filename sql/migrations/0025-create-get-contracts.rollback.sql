SELECT refuse_dependents('get_contracts(text[], text[])');
DROP FUNCTION get_contracts(text[], text[]);

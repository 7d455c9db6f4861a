SELECT refuse_data_loss('granted_access');
DROP FUNCTION bind_functions(text);
DROP FUNCTION grant_access(text, text);
DROP FUNCTION revoke_access(text);
DROP FUNCTION apply_access();
DROP TABLE granted_access;

SELECT refuse_data_loss('data_contracts');
DROP TABLE data_contracts;
DROP FUNCTION delete_replaced_components();
DROP FUNCTION delete_components();
DROP FUNCTION set_published();

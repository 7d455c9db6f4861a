SELECT refuse_data_loss('systems', 'data_feeds', 'business_owners', 'domains', 'teams');
DROP TABLE systems, data_feeds, business_owners, domains, teams;
DROP FUNCTION refuse_credential();
DROP FUNCTION contains_credential(jsonb);
DROP FUNCTION refuse_domain_cycle();
DROP FUNCTION lock_domain_moves();

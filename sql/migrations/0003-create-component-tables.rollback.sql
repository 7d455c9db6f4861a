SELECT refuse_data_loss(
    'schemas', 'coercion_rules', 'validation_rules', 'governance_rules', 'metadata_record', 'ownership'
);
DROP TABLE schemas, coercion_rules, validation_rules, governance_rules, metadata_record, ownership;

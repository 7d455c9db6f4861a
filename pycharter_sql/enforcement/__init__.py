"""A contract as what holds data to it at run time: PyCharter's Validator, or any validator of JSON Schema.

Pure: a ``rows.Contract`` in, a dict out; neither PyCharter nor a database is asked. The rules of a contract
stand in its ``coercion_rules`` and ``validation_rules``, by field, or inline in its schema (``coercion``,
``validations``, ``x-validators``). Which field a rule is for is understood as by the view contract_fields.

Source: the rules of PyCharter 0.0.3 to 0.0.67 (pycharter.shared.coercions, pycharter.shared.validations).
"""

from pycharter_sql.enforcement.json_schema import to_jsonschema
from pycharter_sql.enforcement.pycharter import to_pycharter

__all__ = ["to_jsonschema", "to_pycharter"]

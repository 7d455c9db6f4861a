"""Every legacy shape of a data contract -> the one contract document. Pure: no file, no database.

``normalise`` turns one raw document into a contract document or an entity document
(contract-document.schema.json of this package says what these are), ``merge`` joins two sources of one
contract version. Both keep track of where each value came from, so that whatever is wrong later is reported
with the file and the JSON Pointer (RFC 6901) that a person can open.
"""

from pycharter_sql.documents.entities import TABLES_OF_ENTITIES
from pycharter_sql.documents.legacy import normalise
from pycharter_sql.documents.merging import merge
from pycharter_sql.documents.model import MAX_DEPTH, Document, Place, Raw, ordered, shown
from pycharter_sql.documents.shapes import TABLES_OF_CONTRACTS

# The tables whose rows ``normalise`` knows: what ``Raw.table`` may say.
TABLES = TABLES_OF_CONTRACTS | TABLES_OF_ENTITIES

__all__ = ["MAX_DEPTH", "TABLES", "Document", "Place", "Raw", "merge", "normalise", "ordered", "shown"]

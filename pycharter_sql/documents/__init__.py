"""Every legacy shape of a data contract -> the one contract document. Pure: no file, no database.

``normalise`` turns one raw document into a contract document (contract-document.schema.json of this package
says what that is), ``merge`` joins two sources of one contract version. Both keep track of where each value
came from, so that whatever is wrong later is reported with the file and the JSON Pointer (RFC 6901) that a
person can open.
"""

from pycharter_sql.documents.legacy import normalise
from pycharter_sql.documents.merging import merge
from pycharter_sql.documents.model import MAX_DEPTH, Document, Place, Raw, ordered, shown

__all__ = ["MAX_DEPTH", "Document", "Place", "Raw", "merge", "normalise", "ordered", "shown"]

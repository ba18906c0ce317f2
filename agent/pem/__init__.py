"""Keys, signing requests and certificates as PEM bytes; with `pkcs12` the only part that imports cryptography.

Bytes in, bytes out: who may read the files and when they are on disk is `identity_store`'s business.
"""

from agent.pem.chain import extract_certificate, extract_chain, from_pkcs7, possible_chains
from agent.pem.issued import check_issued, check_usable, validity
from agent.pem.keys import first_key, held_elsewhere, new_key
from agent.pem.request import belong_together, public_key_sha256, request_der, same_key, signing_request
from agent.pem.unreadable import unreadable

__all__ = [
    "belong_together",
    "check_issued",
    "check_usable",
    "extract_certificate",
    "extract_chain",
    "first_key",
    "from_pkcs7",
    "held_elsewhere",
    "new_key",
    "possible_chains",
    "public_key_sha256",
    "request_der",
    "same_key",
    "signing_request",
    "unreadable",
    "validity",
]

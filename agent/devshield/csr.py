"""Whether a signing request from outside can be read in all of its parts, before anybody relies on one of them.

cryptography reads lazily: a request that loads may still raise at its key, its names or its extensions.
"""

from typing import Final

from cryptography import x509

from agent.pem import unreadable

UNREADABLE: Final = unreadable()


def signable(text: str) -> bool:
    """Whether it is a request (PEM) whose signature verifies and whose every part can be read."""
    try:
        request = x509.load_pem_x509_csr(text.encode("ascii"))
        parts = (request.public_key(), list(request.subject), list(request.extensions))
        return bool(parts) and request.is_signature_valid
    except UNREADABLE:
        return False

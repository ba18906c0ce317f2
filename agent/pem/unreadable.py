"""What others made: cryptography reads lazily, so a certificate that loads may still raise at any of its parts."""


def unreadable() -> tuple[type[Exception], ...]:
    """What cryptography raises for a certificate or a request that it cannot read, or a part of one."""
    from cryptography import x509
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm

    return (
        ValueError,
        InternalError,  # of cryptography 38, where OpenSSL reads less than it does
        KeyError,  # the same one's, for a name whose type is none
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    )

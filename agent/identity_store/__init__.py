"""Where enrollment keeps keys and certificates, and the order of writing that a power cut cannot break."""

from agent.identity_store.files import link, write_synced
from agent.identity_store.store import KEPT_GENERATIONS, IdentityStore

__all__ = ["KEPT_GENERATIONS", "IdentityStore", "link", "write_synced"]

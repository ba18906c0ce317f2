"""The other end: the development shield and the demo, the operator's tools for a zone, and a fleet's authority.

The development shield stands for Cloudflare's certificates API, mTLS edge and Worker, and is never asked to be secure: it
is for a developer's own machine. The authority in `registration` is meant for real devices. It shares the server
and the certificate authority's code, and nothing that a fault, a rule or a zone's token would open. Nothing of the
daemon imports any of it.
"""

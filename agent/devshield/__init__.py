"""What a device talks to when there is no Cloudflare: certificates API, mTLS edge and Worker, on loopback.

Nothing of the daemon imports it, and it is never asked to be secure: it is for a developer's own machine.
"""

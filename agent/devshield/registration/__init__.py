"""A registration authority: it holds the zone's token so that devices do not, and decides who gets a certificate.

To a device it looks like Cloudflare's API with a one-time token. A key gets one certificate, however often it
asks; all state is one small file for each token and each key, so an operator's command and the server need
nothing of each other but the directory.
"""

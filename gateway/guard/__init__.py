"""What keeps one address from taking gRPC's core for itself.

The core bounds neither the connections of an address, nor the handshakes that it begins, nor what comes on a
connection beside messages. The guard owns no traffic: it looks a few times a second, closes connections, and
has the kernel drop new ones of an address for some seconds. Linux only.
"""

"""Each RPC as data: how its request is built, how its response is read, whether it may be repeated.

Both clients run these; neither knows a message of the API.
"""

"""How much a caller, a method, an address may take: what `gateway.admission` and both doors decide by.

Everything here is of one worker and belongs to its event loop.
"""

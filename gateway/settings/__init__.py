"""The sections of the configuration: each a frozen model whose docstring explains its fields.

`gateway.config` puts them together and reads them.
"""

"""Config: from the command line and ``conf/`` to objects.

The only room, beside the command line, that knows Hydra. Read :mod:`kvw.config.schema` first, then
:mod:`kvw.config.nodes`.
"""

"""The web page: ``task=web``.

Read :mod:`kvw.web.app` first: :mod:`kvw.web.service` is what the page can do, :mod:`kvw.web.page` shows it.
"""
